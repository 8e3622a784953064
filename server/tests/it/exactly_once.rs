//! A request that is sent twice happens once.

use engine_proto::v1 as pb;

use crate::site::{Site, get, put, put_op, reason};

#[tokio::test(flavor = "multi_thread")]
async fn one_effect_and_the_same_answer() {
    let site = Site::one().await;
    let mut commit = site.commit();
    let opened = commit
        .open_session(pb::OpenSessionRequest { group: 0 })
        .await;
    let session = opened.expect("open").into_inner().session;
    assert!(session > 0);
    let identified = |number| {
        Some(pb::RequestId {
            session,
            number,
            acked_below: 0,
        })
    };

    let first = pb::CommitRequest {
        request: identified(1),
        ops: vec![put_op("a", "1")],
        ..pb::CommitRequest::default()
    };
    let mut once = commit
        .commit(first.clone())
        .await
        .expect("commit")
        .into_inner();
    site.kv().put(put("a", "2")).await.expect("put");
    let mut twice = commit.commit(first).await.expect("again").into_inner();
    timeless(&mut once.header);
    timeless(&mut twice.header);
    assert_eq!(once, twice);
    let read = site.kv().get(get("a")).await.expect("get").into_inner();
    assert_eq!(read.row.expect("there").value, "2", "not done again");

    let second = pb::PutRequest {
        request: identified(2),
        ..put("b", "1")
    };
    let mut once = site
        .kv()
        .put(second.clone())
        .await
        .expect("put")
        .into_inner();
    let mut twice = site.kv().put(second).await.expect("again").into_inner();
    timeless(&mut once.header);
    timeless(&mut twice.header);
    assert_eq!((once.version, &once), (1, &twice));

    commit
        .close_session(pb::CloseSessionRequest { session, group: 0 })
        .await
        .expect("close");
    let late = pb::PutRequest {
        request: identified(3),
        ..put("b", "2")
    };
    let refused = site.kv().put(late).await.expect_err("no session");
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert_eq!(reason(&refused), "SESSION_EXPIRED");
    site.stop().await;
}

/// Whoever asks again is told the time of the second answer.
fn timeless(header: &mut Option<pb::ResponseHeader>) {
    if let Some(header) = header {
        header.now_ms = 0;
    }
}
