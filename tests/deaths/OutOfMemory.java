/** Takes more than there is. */
class OutOfMemory {
  public static void main(String[] arguments) {
    var all = new java.util.ArrayList<byte[]>();
    for (;;) all.add(new byte[1 << 20]);
  }
}
