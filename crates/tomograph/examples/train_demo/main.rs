//! Trains the demo model.
#![allow(clippy::print_stdout)]
mod draw;
mod genres;
mod template;
mod texts;
mod words;

fn main() {
    let prose = std::env::args().nth(1).and_then(|n| n.parse().ok()).unwrap_or(3000);
    let dir = std::env::args().nth(2).unwrap_or_else(|| ".".into());
    for (name, side) in [("train", texts::training(1, prose, prose)), ("held", texts::held_out(1, prose / 40, prose / 40))] {
        let write = |kind: &str, docs: &[String]| std::fs::write(format!("{dir}/{name}-{kind}.txt"), docs.join("\x00"));
        let _ = write("gen", &side.generated);
        let _ = write("sample", &side.sample);
        let _ = write("sums", &side.sums);
    }
}
