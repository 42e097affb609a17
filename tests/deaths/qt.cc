// Qt gives up.
#include <QCoreApplication>
#include <QDebug>
#include <QVector>

extern "C" {
#include "death.h"
}

namespace {

DEATH fatal() { qFatal("no display named %d", 7); }
DEATH assertion() { Q_ASSERT(HIDE(1) == 2); }
DEATH assertion_with_words() { Q_ASSERT_X(HIDE(1) == 2, "counting", "one is not two"); }
DEATH index() { qDebug() << QVector<int>(3).at(HIDE(10)); }

const way ways[] = {{"fatal", fatal},
                    {"assertion", assertion},
                    {"assertion-with-words", assertion_with_words},
                    {"index", index}};

}  // namespace

DIES_BY(ways)
