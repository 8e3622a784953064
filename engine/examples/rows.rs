//! Rows in this process: put, get, an older version, a scan. `cargo run -p engine --example rows`

#![allow(clippy::print_stdout, reason = "an example shows what it found")]

use engine::command::{Commit, Op, Outcome, RowRef};
use engine::query::ScanRequest;
use engine::{DEFAULT_KEYSPACE, Engine, Options};

fn row(key: &str) -> RowRef {
    RowRef {
        keyspace: DEFAULT_KEYSPACE.into(),
        key: key.to_owned().into(),
    }
}

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let engine = Engine::open(folder.path(), Options::default())?;

    // When a commit returns, it is on the disk: a power cut loses nothing of it.
    let put = |key: &str, value: &str| {
        engine.commit(Commit {
            ops: vec![Op::put(row(key), value.to_owned().into())],
            ..Commit::default()
        })
    };
    let Outcome::Committed { revision, .. } = put("user/1", "Ada")? else {
        return Err("a put without guards is not refused".into());
    };
    put("user/1", "Ada Lovelace")?;
    put("user/2", "Grace Hopper")?;

    // The newest version, and the one of an older revision.
    let newest = engine.replica().get(&row("user/1"), None)?;
    let newest = newest.row.ok_or("it was just put")?;
    assert_eq!((newest.value, newest.version), ("Ada Lovelace".into(), 2));
    let first = engine.replica().get(&row("user/1"), Some(revision))?;
    assert_eq!(first.row.map(|row| row.value), Some("Ada".into()));

    // A page of rows in key order, as they stood at one revision.
    let page = engine.replica().scan(&ScanRequest {
        keyspace: DEFAULT_KEYSPACE.into(),
        prefix: "user/".into(),
        ..ScanRequest::default()
    })?;
    for row in &page.rows {
        let (key, value) = (&row.key, &row.value);
        println!("{} = {}", str::from_utf8(key)?, str::from_utf8(value)?);
    }
    assert_eq!(page.rows.len(), 2);

    engine.close()?;
    Ok(())
}
