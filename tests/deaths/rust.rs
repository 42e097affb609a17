// Rust gives up.
use std::cell::RefCell;
use std::hint::black_box;

fn index() {
    let values = vec![1, 2, 3];
    println!("{}", values[black_box(10)]);
}
fn slice() {
    let text = "grüße";
    println!("{}", &text[black_box(3)..]);
}
fn unwrap_none() {
    let nothing: Option<i32> = black_box(None);
    println!("{}", nothing.unwrap());
}
fn expect_error() {
    let failed: Result<i32, String> = black_box(Err("no such key".into()));
    println!("{}", failed.expect("the key"));
}
fn panics() {
    panic!("it broke: code {}", black_box(7));
}
fn asserts() {
    assert_eq!(black_box(1), 2, "numbers are broken");
}
fn by_zero() {
    println!("{}", 7 / black_box(0));
}
fn borrowed_twice() {
    let cell = RefCell::new(1);
    let _first = cell.borrow_mut();
    let _second = cell.borrow_mut();
}
struct Bomb;
impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("second panic");
    }
}
fn nested() {
    let _bomb = Bomb;
    panic!("first panic");
}
fn aborts() {
    std::process::abort();
}
fn null() {
    let nowhere: *mut i32 = black_box(std::ptr::null_mut());
    unsafe { *nowhere = 1 };
}
#[allow(unconditional_recursion)]
fn recurse(n: u64) -> u64 {
    black_box(recurse(black_box(n) + 1)) + n
}
fn overflow() {
    println!("{}", recurse(0));
}
fn overflow_in_thread() {
    std::thread::spawn(overflow).join().ok();
}
fn no_memory() {
    let values: Vec<u8> = Vec::with_capacity(black_box(1 << 46));
    println!("{}", values.capacity());
}
extern "C" fn callback() {
    panic!("across the border");
}
fn through_c() {
    black_box(callback as extern "C" fn())();
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("index") => index(),
        Some("slice") => slice(),
        Some("unwrap-none") => unwrap_none(),
        Some("expect-error") => expect_error(),
        Some("panics") => panics(),
        Some("asserts") => asserts(),
        Some("by-zero") => by_zero(),
        Some("borrowed-twice") => borrowed_twice(),
        Some("nested") => nested(),
        Some("aborts") => aborts(),
        Some("null") => null(),
        Some("overflow") => overflow(),
        Some("overflow-in-thread") => overflow_in_thread(),
        Some("no-memory") => no_memory(),
        Some("through-c") => through_c(),
        _ => std::process::exit(2),
    }
}
