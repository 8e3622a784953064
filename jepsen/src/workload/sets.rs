//! Sets: each element is a row, and all of a set are read by one scan; every other one is a set of
//! the engine's own.

use engine_client::{Commit, Error, Expiry, Kv, MembersScan, Scan};

use super::{Process, done};
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
    let client = process.client.clone();
    let element = count * process.clients + process.place;
    let row = format!("{set}/{element}");
    let commit = if is_one_row(&set) {
        let members = [element.to_string()];
        Commit::new().set_add(KEYSPACE, set.clone(), members, Expiry::Default)
    } else {
        Commit::new().put(KEYSPACE, row, element.to_string())
    };
    let call = async move { Ok(done(client.commit(commit).await?)) };
    process.perform(Act::Add { set, element }, call).await;
}

/// Whether a set is one of the engine's own.
fn is_one_row(set: &str) -> bool {
    set.ends_with(['1', '3', '5', '7', '9'])
}

/// All elements of a set of the engine's own, in small pages of one moment; `None` if it is absent.
pub(super) async fn elements(
    kv: &Kv,
    keyspace: &str,
    set: &str,
    at: Option<u64>,
) -> Result<Option<Vec<u64>>, Error> {
    let mut scan = MembersScan {
        limit: 7,
        ..MembersScan::default()
    };
    scan.read.revision = at;
    let mut elements = Vec::new();
    loop {
        let page = kv.members(keyspace, set.to_owned(), scan.clone()).await?;
        if page.kind.is_none() {
            return Ok(None);
        }
        let members = page.members.iter();
        elements.extend(members.map(|(member, _)| number(member)));
        match page.members.last() {
            Some((last, _)) if page.more => scan.after = Some(last.clone()),
            _ => return Ok(Some(elements)),
        }
        scan.read.revision = Some(page.revision);
    }
}

fn number(text: &[u8]) -> u64 {
    String::from_utf8_lossy(text).parse().unwrap_or(u64::MAX)
}

async fn look(process: &mut Process, set: String) {
    let kv = process.client.kv();
    let prefix = format!("{set}/");
    let own = is_one_row(&set).then(|| set.clone());
    let call = async move {
        if let Some(set) = own {
            let elements = elements(&kv, KEYSPACE, &set, None).await?;
            let elements = elements.unwrap_or_default();
            return Ok(Some(Answer {
                found: Some(Found::Elements(elements)),
                ..Answer::default()
            }));
        }
        let mut scan = Scan::new(KEYSPACE).prefix(prefix);
        let mut elements = Vec::new();
        loop {
            let page = kv.scan(scan.clone()).await?;
            elements.extend(page.rows.iter().map(|row| number(&row.value)));
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
