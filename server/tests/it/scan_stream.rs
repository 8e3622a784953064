//! Walks over many rows, as streams of pages and by cursors.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::command::Command;
use engine::ids::{GroupId, Revision};
use engine_proto::v1 as pb;
use tokio::task::JoinHandle;
use tonic::{Code, Streaming};

use crate::site::{Site, detail, put, put_op, reason};

fn scan(prefix: &'static str) -> pb::ScanRequest {
    pb::ScanRequest {
        keyspace: "default".to_owned(),
        prefix: prefix.into(),
        ..pb::ScanRequest::default()
    }
}

async fn fill(site: &Site, rows: usize, value: &str) -> Vec<String> {
    let keys: Vec<_> = (0..rows).map(|at| format!("k/{at:06}")).collect();
    for keys in keys.chunks(1_000) {
        let commit = pb::CommitRequest {
            ops: keys.iter().map(|key| put_op(key, value)).collect(),
            ..pb::CommitRequest::default()
        };
        site.commit().commit(commit).await.expect("a commit");
    }
    keys
}

/// Inserts rows between those of [`fill`] until it is told to stop.
fn writer(site: &Site) -> (Arc<AtomicBool>, JoinHandle<u64>) {
    let stop = Arc::new(AtomicBool::new(false));
    let (mut kv, told) = (site.kv(), Arc::clone(&stop));
    let work = tokio::spawn(async move {
        let mut written = 0;
        while !told.load(Ordering::Relaxed) {
            let key = format!("k/{:06}+{written}", written * 7 % 9_000);
            kv.put(put(&key, "late")).await.expect("a put");
            written += 1;
        }
        written
    });
    (stop, work)
}

fn keys_of(rows: Vec<pb::Row>) -> impl Iterator<Item = String> {
    rows.into_iter()
        .map(|row| String::from_utf8(row.key.to_vec()).expect("text"))
}

async fn all(mut stream: Streaming<pb::ScanResponse>) -> (Vec<String>, BTreeSet<u64>, String) {
    let (mut keys, mut revisions, mut cursor) = (Vec::new(), BTreeSet::new(), String::new());
    while let Some(page) = stream.message().await.expect("a page") {
        revisions.insert(page.header.expect("a header").revision);
        keys.extend(keys_of(page.rows));
        cursor = page.next_cursor;
    }
    (keys, revisions, cursor)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_shows_all_rows_of_one_moment_beside_a_writer() {
    let site = Site::one().await;
    let keys = fill(&site, 9_000, "v").await;
    let (stop, work) = writer(&site);
    for reverse in [false, true] {
        let request = pb::ScanRequest {
            reverse,
            keys_only: reverse,
            ..scan("k/")
        };
        let stream = site.kv().scan_stream(request).await.expect("a stream");
        let (mut seen, revisions, cursor) = all(stream.into_inner()).await;
        assert_eq!((revisions.len(), cursor.as_str()), (1, ""), "one moment");
        if reverse {
            seen.reverse();
        }
        assert!(seen.is_sorted_by(|a, b| a < b), "no row twice");
        seen.retain(|key| !key.contains('+'));
        assert_eq!(seen, keys);
    }
    stop.store(true, Ordering::Relaxed);
    assert!(work.await.expect("no panic") > 0, "it wrote meanwhile");

    let limited = pb::ScanRequest {
        limit: 5_000,
        ..scan("k/")
    };
    let stream = site.kv().scan_stream(limited.clone()).await.expect("one");
    let (first, _, cursor) = all(stream.into_inner()).await;
    assert_eq!(first.len(), 5_000);
    let rest = pb::ScanRequest {
        cursor,
        limit: 0,
        ..limited
    };
    let stream = site.kv().scan_stream(rest).await.expect("a stream");
    let (rest, _, _) = all(stream.into_inner()).await;
    let together: Vec<_> = first.into_iter().chain(rest).collect();
    assert!(together.is_sorted_by(|a, b| a < b) && together.len() > 9_000);

    let stream = site.kv().scan_stream(scan("nothing")).await.expect("one");
    let page = stream.into_inner().message().await.expect("a page");
    assert!(page.expect("the only one").rows.is_empty());
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ninety_five_rows_are_pages_of_20_20_20_20_and_15_beside_a_writer() {
    let site = Site::one().await;
    let keys = fill(&site, 95, "v").await;
    let mut request = pb::ScanRequest {
        limit: 20,
        ..scan("k/")
    };
    let (mut sizes, mut seen) = (Vec::new(), Vec::new());
    let page = site.kv().scan(request.clone()).await.expect("a page");
    let mut page = page.into_inner();
    let (stop, work) = writer(&site);
    loop {
        sizes.push(page.rows.len());
        seen.extend(keys_of(page.rows));
        if page.next_cursor.is_empty() {
            break;
        }
        // A row comes behind the cursor and one before it, between any two pages.
        for key in ["k/000000-before", "k/000094+behind"] {
            site.kv().put(put(key, "late")).await.expect("a put");
        }
        request.cursor = page.next_cursor;
        page = site
            .kv()
            .scan(request.clone())
            .await
            .expect("a page")
            .into_inner();
    }
    stop.store(true, Ordering::Relaxed);
    work.await.expect("no panic");
    assert_eq!(sizes, [20, 20, 20, 20, 15]);
    assert_eq!(seen, keys, "no duplicate, no gap");
    site.stop().await;
}

async fn raise_floor(site: &Site) {
    let newest = site.kv().put(put("other", "x")).await.expect("a put");
    let newest = newest.into_inner().header.expect("a header").revision;
    let node = site.places.first().expect("one node").server.node();
    let raise = Command::RaiseFloor {
        revision: Revision(newest),
    };
    node.propose(GroupId(0), raise).await.expect("it is raised");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_floor_that_overtakes_a_walk_leaves_a_cursor_to_go_on_from() {
    let site = Site::one().await;
    // More than the windows of a connection and the pages in between hold.
    let mut keys = Vec::new();
    for at in 0..20 {
        let key = format!("k/{at:02}");
        let value = "v".repeat(1024 * 1024);
        site.kv().put(put(&key, &value)).await.expect("a put");
        keys.push(key);
    }
    let stream = site.kv().scan_stream(scan("k/")).await.expect("a stream");
    let mut stream = stream.into_inner();
    let mut seen: Vec<String> = Vec::new();
    let page = stream.message().await.expect("a page");
    seen.extend(keys_of(page.expect("the first").rows));
    raise_floor(&site).await;
    let refused = loop {
        match stream.message().await {
            Ok(Some(page)) => seen.extend(keys_of(page.rows)),
            Ok(None) => panic!("the stream ended as if it were whole: {seen:?}"),
            Err(status) => break status,
        }
    };
    assert_eq!(refused.code(), Code::OutOfRange);
    assert_eq!(reason(&refused), "REVISION_COMPACTED");
    let cursor = detail(&refused, "cursor").expect("where it goes on");
    let rest = pb::ScanRequest {
        cursor,
        ..scan("k/")
    };
    let stream = site.kv().scan_stream(rest).await.expect("a stream");
    seen.extend(all(stream.into_inner()).await.0);
    assert_eq!(seen, keys);

    // A cursor that lay too long says the same.
    let limited = pb::ScanRequest {
        limit: 1,
        ..scan("k/")
    };
    let page = site.kv().scan(limited.clone()).await.expect("a page");
    let old = pb::ScanRequest {
        cursor: page.into_inner().next_cursor,
        ..limited.clone()
    };
    raise_floor(&site).await;
    let refused = site.kv().scan(old).await.expect_err("it is too old");
    let again = pb::ScanRequest {
        cursor: detail(&refused, "cursor").expect("where it goes on"),
        ..limited
    };
    let page = site.kv().scan(again).await.expect("a page").into_inner();
    let next: Vec<_> = keys_of(page.rows).collect();
    // A page has room for one value of this size.
    assert_eq!(Some(next.as_slice()), keys.get(1..2));
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopping_node_ends_a_stream_with_a_status() {
    let site = Site::one().await;
    for at in 0..20 {
        let value = "v".repeat(1024 * 1024);
        let put = put(&format!("k/{at:02}"), &value);
        site.kv().put(put).await.expect("a put");
    }
    let stream = site.kv().scan_stream(scan("k/")).await.expect("a stream");
    let mut stream = stream.into_inner();
    let reading = tokio::spawn(async move {
        stream.message().await.expect("a page").expect("the first");
        stream
    });
    let mut stream = reading.await.expect("no panic");
    let stopping = tokio::spawn(site.stop());
    let status = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the stream ended as if it were whole"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    stopping.await.expect("no panic");
}
