// A recursion without end: Rust's own handler of SIGSEGV says so and aborts.

#[inline(never)]
fn recurse(depth: u64) -> u64 {
    let buffer = std::hint::black_box([depth; 16]);
    recurse(depth + 1) + buffer[3]
}

fn main() {
    std::process::exit(recurse(0) as i32);
}
