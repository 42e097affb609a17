// Built with panic=abort: only then does Rust dump core.

struct Jar {
    name: String,
    plums: u32,
}

impl Jar {
    #[inline(never)]
    fn take(&mut self) -> u32 {
        if self.plums == 0 {
            panic!("the jar of {} is empty", self.name); // dies here
        }
        self.plums -= 1;
        self.plums
    }
}

#[inline(never)]
fn serve(jar: &mut Jar) -> u32 {
    jar.take() + 1
}

fn main() {
    let mut jar = Jar { name: std::env::args().nth(1).unwrap_or_default(), plums: 0 };
    std::process::exit(serve(&mut jar) as i32);
}
