//! What a configuration refuses, and what it tells the person who wrote it.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    node: NodeArgs,
}

fn config(line: &str) -> Result<ServerConfig, String> {
    let words = std::iter::once("engine-server").chain(line.split_whitespace());
    Line::try_parse_from(words)
        .map_err(|error| error.to_string())?
        .node
        .config()
        .map_err(|error| format!("{error:#}"))
}

#[test]
fn three_members_are_taken() {
    let config = config(
        "--node 2 --cluster 77 --data d --listen 0.0.0.0:7101 --peer-listen 0.0.0.0:7201 \
         --advertise n2:7101 --peer-advertise [::1]:7201 --member 1=n1:7201,n1:7101 \
         --member 2=n2:7201,n2:7101 --member 3=n3:7201,n3:7101",
    )
    .expect("a good line");
    assert_eq!(config.node, NodeId(2));
    assert_eq!(config.advertise, "n2:7101");
    let members = config.bootstrap.expect("members were named");
    assert_eq!(members.keys().copied().collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(members.get(&3).map(|m| m.peer.as_str()), Some("n3:7201"));
}

#[test]
fn without_members_the_node_waits() {
    let config = config("--node 4 --cluster 77 --data d").expect("a good line");
    assert_eq!(config.bootstrap, None);
    assert_eq!(config.listen.port(), 7101);
    assert_eq!(config.advertise, "", "left to the bound address");
}

#[test]
fn every_mistake_says_what_to_do() {
    let table = [
        ("--node 0 --cluster 7 --data d", "node ids begin at 1"),
        ("--node 1 --cluster 0 --data d", "the same for all nodes"),
        (
            "--node 1 --cluster 7 --data d --listen 127.0.0.1:1 --peer-listen 127.0.0.1:1",
            "give them two ports",
        ),
        (
            "--node 1 --cluster 7 --data d --listen 0.0.0.0:7101",
            "say with --advertise host:port",
        ),
        (
            "--node 1 --cluster 7 --data d --peer-listen [::]:7201",
            "say with --peer-advertise host:port",
        ),
        (
            "--node 1 --cluster 7 --data d --advertise http://n1:7101",
            "write host:port",
        ),
        (
            "--node 1 --cluster 7 --data d --member n1:7101",
            "write ID=PEER,CLIENT",
        ),
        (
            "--node 1 --cluster 7 --data d --member 1=n1:0,n1:7101",
            "write ID=PEER,CLIENT",
        ),
        (
            "--node 1 --cluster 7 --data d --member 1=a:1,a:2 --member 1=b:1,b:2 --member 2=c:1,c:2",
            "name each member once",
        ),
        (
            "--node 1 --cluster 7 --data d --member 1=a:1,a:2 --member 2=a:1,b:2 --member 3=c:1,c:2",
            "repeats an address",
        ),
        (
            "--node 1 --cluster 7 --data d --member 1=a:1,a:2 --member 2=b:1,b:2",
            "begin with 1, 3 or 5",
        ),
        (
            "--node 4 --cluster 7 --data d --member 1=a:1,a:2",
            "leave all --member out",
        ),
        (
            "--node 1 --cluster 7 --data d --options /does/not/exist.json",
            "read --options /does/not/exist.json",
        ),
        (
            "--node 1 --cluster 7 --data d --store lmdb",
            "write lsm or sled",
        ),
    ];
    for (line, expected) in table {
        let message = config(line).expect_err(line);
        assert!(message.contains(expected), "{line}\n  says {message}");
    }
}

#[test]
fn options_with_unknown_keys_are_refused() {
    let dir = tempfile::tempdir().expect("a scratch folder");
    let file = dir.path().join("options.json");
    std::fs::write(&file, r#"{"row_cash_bytes": 1}"#).expect("write the options");
    let error = read_options(&file).expect_err("an unknown key");
    assert!(format!("{error:#}").contains("row_cash_bytes"), "{error:#}");
    std::fs::write(&file, r#"{"row_cache_bytes": 1024}"#).expect("write the options");
    let options = read_options(&file).expect("a known key");
    assert_eq!(options.row_cache_bytes, 1024);
}

#[cfg(not(feature = "sled"))]
#[test]
fn a_build_without_sled_says_how_to_build_one_with_it() {
    let line = "--node 1 --cluster 7 --data d --store";
    let message = config(&format!("{line} sled")).expect_err("it is not in this build");
    assert!(message.contains("--features sled"), "{message}");
    let dir = tempfile::tempdir().expect("a scratch folder");
    let file = dir.path().join("options.json");
    std::fs::write(&file, r#"{"store": "sled"}"#).expect("write the options");
    let error = format!("{:#}", read_options(&file).expect_err("not in this build"));
    assert!(error.contains("--features sled"), "{error}");
    config(&format!("{line} lsm")).expect("it is in every build");
}

#[cfg(feature = "sled")]
#[test]
fn the_store_may_be_chosen() {
    let line = "--node 1 --cluster 7 --data d --store sled";
    let chosen = config(line).expect("it is in this build");
    assert_eq!(chosen.options.store, engine::StoreKind::Sled);
}
