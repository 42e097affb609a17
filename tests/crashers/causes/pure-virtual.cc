#include "cause.h"

namespace shop {

class Shape;
FUNCTION long measure(const Shape* shape);

class Shape {
 public:
  Shape() { measure(this); }
  virtual ~Shape() = default;
  virtual long Area() const = 0;
};

class Square : public Shape {
 public:
  long Area() const override { return 4; }
};

FUNCTION long measure(const Shape* shape) {
  const long area = shape->Area();  // dies here: the shape is not a square yet
  STAY();
  return area;
}

}  // namespace shop

FUNCTION long draw() {
  const shop::Square square;
  return square.Area();
}

DIES_IN(draw)
