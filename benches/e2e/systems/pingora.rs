//! Pingora: the program in `benches/e2e/pingora`, which is built apart.

use std::path::{Path, PathBuf};

use super::{System, TakesPart};

pub(super) const PINGORA: System = System {
    name: "pingora",
    program,
    version: None,
    arguments: |setup, listen, _| {
        let upstreams: Vec<String> = setup.upstreams.iter().map(ToString::to_string).collect();
        Ok(vec![listen.to_string().into(), upstreams.join(",").into()])
    },
    takes_part: TakesPart::Everywhere,
};

fn program() -> Result<PathBuf, String> {
    if let Some(path) = std::env::var_os("PINGORA").map(PathBuf::from) {
        if path.is_file() {
            return Ok(path);
        }
        return Err(format!("PINGORA is no file: {}", path.display()));
    }
    let apart = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/e2e/pingora");
    let built = apart.join("target/release/pingora");
    if built.is_file() {
        return Ok(built);
    }
    Err(
        "first: cargo build --release --locked --manifest-path benches/e2e/pingora/Cargo.toml"
            .into(),
    )
}
