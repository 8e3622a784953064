//! Sets: each element is a row, and all of a set are read by one scan.

use engine_client::{Error, Scan};

use super::Process;
use crate::history::{Act, Answer, Found};

pub(super) const KEYSPACE: &str = "sets";

/// A process adds so many elements to a set before it goes on to the next.
const ELEMENTS: u64 = 60;
/// One operation of so many reads a set.
const LOOK_EVERY: u64 = 6;

pub(super) async fn run(mut process: Process) {
    let mut count = 0_u64;
    while !process.stopped() {
        count += 1;
        let set = format!("set-{}", count / ELEMENTS);
        if count.is_multiple_of(LOOK_EVERY) {
            look(&mut process, set).await;
        } else {
            add(&mut process, set, count).await;
        }
    }
}

async fn add(process: &mut Process, set: String, count: u64) {
    let kv = process.client.kv();
    let element = count * process.clients + process.place;
    let row = format!("{set}/{element}");
    let call = async move {
        let written = kv.put(KEYSPACE, row, element.to_string()).await?;
        Ok(Some(Answer {
            revision: written.revision,
            ..Answer::default()
        }))
    };
    process.perform(Act::Add { set, element }, call).await;
}

async fn look(process: &mut Process, set: String) {
    let kv = process.client.kv();
    let prefix = format!("{set}/");
    let call = async move {
        let mut scan = Scan::new(KEYSPACE).prefix(prefix);
        let mut elements = Vec::new();
        loop {
            let page = kv.scan(scan.clone()).await?;
            let values = page
                .rows
                .iter()
                .map(|row| String::from_utf8_lossy(&row.value));
            elements.extend(values.map(|value| value.parse::<u64>().unwrap_or(u64::MAX)));
            match page.next_cursor {
                Some(cursor) => scan = scan.cursor(cursor),
                None => break,
            }
        }
        Ok::<_, Error>(Some(Answer {
            found: Some(Found::Elements(elements)),
            ..Answer::default()
        }))
    };
    process.perform(Act::Elements { set }, call).await;
}
