//! Compiles the .proto files without a system protoc.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "common",
        "commit",
        "kv",
        "keyspaces",
        "topics",
        "log",
        "watch",
        "cluster",
        "maintenance",
        "peer",
    ]
    .map(|name| format!("proto/engine/v1/{name}.proto"));
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(&files, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("engine.v1.bin");
    std::fs::write(out, prost::Message::encode_to_vec(&descriptors))?;
    tonic_prost_build::configure()
        .bytes(".")
        .skip_protoc_run()
        .compile_fds(descriptors)?;
    Ok(())
}
