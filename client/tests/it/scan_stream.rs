//! Streams of pages that break.

use engine_client::{Client, ClientOptions, Scan};

use crate::fake::{Fake, Step};

async fn keys(client: &Client, scan: Scan) -> engine_client::Result<Vec<String>> {
    let mut pages = client.kv().scan_stream(scan);
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await? {
        let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
        keys.extend(page.rows.iter().map(|row| text(&row.key)));
    }
    assert_eq!(pages.next().await?, None, "an end stays one");
    Ok(keys)
}

#[tokio::test]
async fn a_stream_that_breaks_goes_on_behind_its_last_page() {
    let node = Fake::start().await;
    let client = Client::connect(ClientOptions::new([node.address.clone()]))
        .await
        .expect("one node is enough");
    node.on_reads([
        Step::certain("OVERLOADED"),
        Step::DoAndBreak,
        Step::DoAndHang,
    ]);
    let seen = keys(&client, Scan::new("default")).await.expect("all rows");
    let expected: Vec<_> = (0..10).map(|key| key.to_string()).collect();
    assert_eq!(seen, expected, "no row twice, none left out");
    let cursors = node.seen(|seen| seen.cursors.clone());
    assert_eq!(cursors, ["", "", "2", "4"]);
}

#[tokio::test]
async fn what_is_final_ends_a_stream() {
    let node = Fake::start().await;
    let client = Client::connect(ClientOptions::new([node.address.clone()]))
        .await
        .expect("one node is enough");
    node.on_reads([Step::DoAndBreak, Step::certain("REVISION_COMPACTED")]);
    let error = keys(&client, Scan::new("default")).await;
    let error = error.expect_err("the rest is gone");
    assert!(error.is("REVISION_COMPACTED"), "{error}");
}
