#[inline(never)]
fn third<T: Copy>(items: &[T], index: usize) -> T {
    items[index] // dies here
}

#[inline(never)]
fn serve(items: &[u64]) -> u64 {
    third(items, items.len() + 4) + 1
}

fn main() {
    let items: Vec<u64> = std::env::args().map(|argument| argument.len() as u64).collect();
    std::process::exit(serve(&items) as i32);
}
