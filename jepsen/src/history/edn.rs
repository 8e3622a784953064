//! Histories as Jepsen writes them: `history.edn`, one map a line, for Knossos, Elle and their kin.
//!
//! ```text
//! {:index 0, :time 1042000, :process 3, :type :invoke, :f :write, :value ["x" "5"]}
//! {:index 1, :time 2117000, :process 4, :type :ok, :f :txn, :value [[:append "x" 1] [:r "y" [2]]]}
//! ```
//!
//! Rows, sets, counters and locks come as pairs of key and value, as `jepsen.independent` has
//! them; transactions as Elle has them; messages as Jepsen's Kafka workload has them.
//!
//! # Not here
//! Reading: what is kept is the lines of JSON, which lose nothing.

use std::fmt::Display;
use std::io::{self, Write};

use super::{Act, Answer, Found, History, Op, Phase, Step};

impl History {
    /// Writes Jepsen's EDN.
    pub fn write_edn(&self, mut to: impl Write) -> io::Result<()> {
        for (index, op) in self.ops.iter().enumerate() {
            let time_ns = u128::from(op.time_us) * 1000;
            let kind = match op.phase {
                Phase::Invoke => "invoke",
                Phase::Ok => "ok",
                Phase::Fail => "fail",
                Phase::Info => "info",
            };
            let process = if op.act.is_nemesis() {
                ":nemesis".to_owned()
            } else {
                op.process.to_string()
            };
            let (function, value) = function_and_value(op);
            write!(
                to,
                "{{:index {index}, :time {time_ns}, :process {process}, :type :{kind}, \
                 :f :{function}, :value {value}"
            )?;
            if let Some(request) = &op.request {
                write!(to, ", :request {}", text(request))?;
            }
            if let Some(error) = &op.error {
                write!(to, ", :error {}", text(error))?;
            }
            writeln!(to, "}}")?;
        }
        to.flush()
    }
}

fn function_and_value(op: &Op) -> (&'static str, String) {
    let answer = op.answer.as_ref();
    let found = answer.and_then(|answer| answer.found.as_ref());
    let read = answer.and_then(|answer| answer.read.as_deref());
    match &op.act {
        Act::Put { key, value } => ("write", pair(key, &text(value))),
        Act::Cas {
            key,
            expected,
            value,
        } => {
            let change = format!("[{} {}]", optional(expected.as_deref()), text(value));
            ("cas", pair(key, &change))
        }
        Act::Delete { key } => ("write", pair(key, "nil")),
        Act::Read { key } => ("read", pair(key, &optional(read))),
        Act::CachedRead { key } => ("cached-read", pair(key, &optional(read))),
        Act::LocalRead { key } => ("local-read", pair(key, &optional(read))),
        Act::Scan => ("scan", all(found)),
        Act::Produce { key, sequence } => ("send", send(key, *sequence, answer)),
        Act::Commit { row, key, sequence } => {
            let message = send(key, *sequence, answer);
            ("commit", pair(row, &message))
        }
        Act::Fetch { partition, .. } => {
            ("poll", format!("[[:poll {{{partition} {}}}]]", all(found)))
        }
        Act::Handle {
            consumer_group,
            partition,
            offset,
        } => (
            "handle",
            pair(consumer_group, &format!("[{partition} {offset}]")),
        ),
        Act::CommitOffsets { consumer_group } => ("commit-offsets", text(consumer_group)),
        Act::Resume {
            consumer_group,
            partition,
        } => {
            let next = answer.and_then(|answer| answer.place);
            let next = next.map_or("nil".to_owned(), |next| next.offset.to_string());
            (
                "resume",
                pair(consumer_group, &format!("[{partition} {next}]")),
            )
        }
        Act::Txn { steps } => ("txn", transaction(steps, found)),
        Act::Open { balances } => ("open", map(balances.iter())),
        Act::Transfer { from, to, amount } => (
            "transfer",
            format!(
                "{{:from {}, :to {}, :amount {amount}}}",
                text(from),
                text(to)
            ),
        ),
        Act::Balances => ("read", all(found)),
        Act::Add { set, element } | Act::Join { set, element } => {
            ("add", pair(set, &element.to_string()))
        }
        Act::Elements { set } | Act::Ending { set, .. } => ("read", pair(set, &all(found))),
        Act::Change { rows } => {
            let rows = rows
                .iter()
                .map(|(key, value)| (key, optional(value.as_deref())));
            ("write", map(rows))
        }
        Act::Watch { key, .. } => {
            let key = key.as_deref().unwrap_or("*");
            ("watch", pair(key, &all(found)))
        }
        Act::Increment { counter, by } => ("add", pair(counter, &by.to_string())),
        Act::Count { counter } => ("read", pair(counter, &all(found))),
        Act::Acquire { lock, .. } => ("acquire", pair(lock, &all(found))),
        Act::Release { lock, token } => ("release", pair(lock, &token.to_string())),
        Act::Use { lock, token } => ("use", pair(lock, &token.to_string())),
        Act::Fault { name } => ("start", text(name)),
        Act::Heal => ("stop", "nil".to_owned()),
    }
}

/// What was found, as a value of its own; nil if nothing was.
fn all(found: Option<&Found>) -> String {
    match found {
        None => "nil".to_owned(),
        Some(Found::Rows(rows)) => map(rows.iter().map(|(key, row)| (key, text(&row.value)))),
        Some(Found::Messages { messages, .. }) => list(messages.iter().map(|message| {
            let name = pair(&message.key, &message.sequence.to_string());
            format!("[{} {name}]", message.offset)
        })),
        Some(Found::Lists(lists)) => list(lists.iter().map(|elements| list(elements.iter()))),
        Some(Found::Balances(balances)) => map(balances.iter()),
        Some(Found::Elements(elements)) => list(elements.iter()),
        Some(Found::Count(count)) => count.to_string(),
        Some(Found::Token(token)) => token.to_string(),
        Some(Found::Watched { commits, .. }) => list(commits.iter().map(|commit| {
            let changes = commit.changes.iter();
            let changes = changes.map(|change| (&change.key, optional(change.value.as_deref())));
            format!("[{} {}]", commit.revision, map(changes))
        })),
        Some(Found::Ending { incarnation, .. }) => {
            let elements = incarnation
                .as_ref()
                .map(|found| list(found.elements.iter()));
            elements.unwrap_or_else(|| "nil".to_owned())
        }
    }
}

fn send(key: &str, sequence: u64, answer: Option<&Answer>) -> String {
    match answer.and_then(|answer| answer.place) {
        Some(place) => format!(
            "[[:send {} [{} {sequence}] {}]]",
            text(key),
            place.offset,
            place.partition
        ),
        None => format!("[[:send {} {sequence}]]", text(key)),
    }
}

fn transaction(steps: &[Step], found: Option<&Found>) -> String {
    let lists: &[Vec<u64>] = match found {
        Some(Found::Lists(lists)) => lists,
        _ => &[],
    };
    let mut lists = lists.iter();
    list(steps.iter().map(|step| match step {
        Step::Append { list, element } => format!("[:append {} {element}]", text(list)),
        Step::Read { list: name } => {
            let read = lists.next().map(|elements| list(elements.iter()));
            format!("[:r {} {}]", text(name), read.as_deref().unwrap_or("nil"))
        }
    }))
}

fn pair(key: &str, value: &str) -> String {
    format!("[{} {value}]", text(key))
}

fn list(items: impl Iterator<Item = impl Display>) -> String {
    let items: Vec<String> = items.map(|item| item.to_string()).collect();
    format!("[{}]", items.join(" "))
}

fn map<'a>(items: impl Iterator<Item = (&'a String, impl Display)>) -> String {
    let items: Vec<String> = items
        .map(|(key, value)| format!("{} {value}", text(key)))
        .collect();
    format!("{{{}}}", items.join(", "))
}

fn optional(value: Option<&str>) -> String {
    value.map_or_else(|| "nil".to_owned(), text)
}

/// EDN knows few escapes; what it has none for becomes a space.
fn text(value: &str) -> String {
    let mut quoted = String::from("\"");
    for sign in value.chars() {
        match sign {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            sign if sign.is_control() => quoted.push(' '),
            sign => quoted.push(sign),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::super::notation;
    use super::*;

    fn edn(notation: &str) -> String {
        let mut edn = Vec::new();
        notation::parse(notation)
            .write_edn(&mut edn)
            .expect("memory takes it");
        String::from_utf8(edn).expect("EDN is text")
    }

    #[test]
    fn operations_look_as_jepsen_writes_them() {
        let edn = edn(
            "1 put x 5 #s1; 2 read x -> nil; 1 -> ok @3; 3 txn x+1 x y -> [1] []
             1 cas x 5 6 -> info; 3 send k 4 -> p2:9; 4 total -> a=1 b=-1; 9 fault kill -> ok",
        );
        let expected = r#"{:index 0, :time 1000000, :process 1, :type :invoke, :f :write, :value ["x" "5"], :request "s1"}
{:index 1, :time 2000000, :process 2, :type :invoke, :f :read, :value ["x" nil]}
{:index 2, :time 2000000, :process 2, :type :ok, :f :read, :value ["x" nil]}
{:index 3, :time 3000000, :process 1, :type :ok, :f :write, :value ["x" "5"], :request "s1"}
{:index 4, :time 4000000, :process 3, :type :invoke, :f :txn, :value [[:append "x" 1] [:r "x" nil] [:r "y" nil]]}
{:index 5, :time 4000000, :process 3, :type :ok, :f :txn, :value [[:append "x" 1] [:r "x" [1]] [:r "y" []]]}
{:index 6, :time 5000000, :process 1, :type :invoke, :f :cas, :value ["x" ["5" "6"]]}
{:index 7, :time 5000000, :process 1, :type :info, :f :cas, :value ["x" ["5" "6"]], :error "no answer"}
{:index 8, :time 6000000, :process 3, :type :invoke, :f :send, :value [[:send "k" 4]]}
{:index 9, :time 6000000, :process 3, :type :ok, :f :send, :value [[:send "k" [9 4] 2]]}
{:index 10, :time 7000000, :process 4, :type :invoke, :f :read, :value nil}
{:index 11, :time 7000000, :process 4, :type :ok, :f :read, :value {"a" 1, "b" -1}}
{:index 12, :time 8000000, :process :nemesis, :type :invoke, :f :start, :value "kill"}
{:index 13, :time 8000000, :process :nemesis, :type :ok, :f :start, :value "kill"}
"#;
        assert_eq!(edn, expected);
    }

    #[test]
    fn every_kind_of_operation_has_its_line() {
        let lines = edn(notation::EVERYTHING);
        assert_eq!(
            lines.lines().count(),
            notation::parse(notation::EVERYTHING).ops.len()
        );
    }

    #[test]
    fn text_is_quoted() {
        assert_eq!(text("a\"b\\c\n\u{1}"), "\"a\\\"b\\\\c\\n \"");
    }
}
