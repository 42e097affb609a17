// Ends of Rust programs that are no plain panic: the argument says which.

use std::alloc::{alloc, handle_alloc_error, Layout};

#[inline(never)]
fn give_up() -> ! {
    std::process::abort()
}

#[inline(never)]
fn no_memory(size: usize) -> usize {
    let layout = Layout::from_size_align(size, 8).unwrap();
    let memory = unsafe { alloc(layout) };
    if memory.is_null() {
        handle_alloc_error(layout);
    }
    memory as usize
}

#[inline(never)]
fn too_long() -> usize {
    let mut all: Vec<u64> = Vec::new();
    all.try_reserve_exact(1 << 58).map_err(|_| ()).unwrap();
    all.len()
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("abort") => give_up(),
        Some("memory") => println!("{}", no_memory(0x400000000008)),
        _ => println!("{}", too_long()),
    }
}
