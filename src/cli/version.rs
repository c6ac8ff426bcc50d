//! `muster version`.

/// Prints the name and the version, as `--version` does.
pub fn run() {
    println!("muster {}", env!("CARGO_PKG_VERSION"));
}
