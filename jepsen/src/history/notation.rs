//! Histories in a short notation, for tests: one event a line, or several with `;` between.
//!
//! ```text
//! 1 put x 5            process 1 begins to write 5 to row x
//! 2 read x -> 4 @7     process 2 reads 4, made at revision 7: begins and ends at once
//! 1 -> ok @8 v2        process 1 ends; -> fail and -> info too
//! +500                 500 ms pass; each event takes 1 ms besides
//!
//! rows      put K V · cas K OLD NEW · del K · read K · cached K · local K · scan -> K=V*VERSION …
//! messages  send KEY SEQ -> pPART:OFFSET · commit ROW KEY SEQ · poll PART OFFSET [nNODE] -> OFFSET:KEY.SEQ … end N
//! consumers handle G PART OFFSET · offsets G · resume G PART -> pPART:OFFSET
//! lists     txn x+1 x -> [1]
//! bank      open a=5 b=5 · move FROM TO AMOUNT · total -> a=4 b=6
//! sets      add S E · elements S -> [1,2]        counters  inc C BY · count C -> 3
//! ends      join S E -> ok @REV · ending S TTL -> AT/CREATED/ENDS[/NOW] [1,2] or absent@AT
//! watches   change K=V L=nil -> ok @REV · watch K|* [from=REV] [previous] -> FROM..UPTO REV:K=V<OLD,L=nil …
//! locks     lock L -> TOKEN · lease L -> TOKEN · unlock L TOKEN · use L TOKEN
//! nemesis   fault NAME · heal                    requests  … #NAME
//! ```

mod watched;

use std::collections::BTreeMap;

use super::{
    Act, Answer, Found, FoundMessage, FoundRow, History, Incarnation, Op, Phase, Place, Step,
};

/// A history with every kind of operation.
pub(crate) const EVERYTHING: &str = "
    1 put x 5 #s1; 1 -> ok @1 v1; 2 cas x 5 6 -> ok @2 v2; 2 cas y nil 1 -> fail; 2 del x -> ok @3
    1 read x -> nil; 1 cached x -> 5 @1; 1 local x -> 6 @2; 3 put z 1 -> info
    1 send k 1 -> p0:0 @4; 1 commit r k 2 -> p0:1 @5 v1; 1 poll 0 0 n2 -> 0:k.1 1:k.2 end 2
    1 txn x+1 y x -> [] [1]; 1 open a=5 b=-5 -> ok; 1 move a b 2 -> ok; 1 total -> a=3 b=-3
    1 add s 1 -> ok; 1 elements s -> [1]; 1 inc c -2 -> ok; 1 count c -> -2; 1 lock l -> 7
    1 unlock l 7 -> ok; 1 lease l -> 8; 1 use l 8 -> ok; 9 fault kill -> ok; 9 heal -> ok; +50
    3 join e 1 -> ok @9; 3 ending e 100 -> 9/9/200 [1]; 3 ending e 100 -> absent@9
    3 change k=1 l=nil -> ok @10; 3 watch * from=9 previous -> 9..10 10:k=1<nil,l=nil<7; 3 watch k -> 11..10
    3 resume g 0 -> p0:0; 3 handle g 0 0 -> ok; 3 offsets g -> ok
    4 scan -> r=2*1; 4 poll 1 0 -> end 0; 5 txn x y+1";

/// Reads the notation. What is no history is a mistake of the test, so it panics.
pub(crate) fn parse(text: &str) -> History {
    let mut history = History::default();
    let mut open: BTreeMap<u64, Op> = BTreeMap::new();
    let mut time_us = 0;
    let events = text.split([';', '\n']).map(str::trim);
    for event in events.filter(|event| !event.is_empty()) {
        time_us += 1000;
        if let Some(pause) = event.strip_prefix('+') {
            time_us += 1000 * number::<u64>(pause);
            continue;
        }
        let (asked, answered) = match event.split_once("->") {
            Some((asked, answered)) => (asked, Some(answered)),
            None => (event, None),
        };
        let mut words: Vec<&str> = asked.split_whitespace().collect();
        let process = number(words.remove(0));
        if !words.is_empty() {
            let request = words.pop_if(|word| word.starts_with('#'));
            let op = Op {
                process,
                time_us,
                phase: Phase::Invoke,
                act: act(&words),
                request: request.map(|name| name[1..].to_owned()),
                answer: None,
                error: None,
            };
            history.ops.push(op.clone());
            let before = open.insert(process, op);
            assert!(
                before.is_none(),
                "{event}: the process has an open operation"
            );
        }
        if let Some(answered) = answered {
            let begun = open.remove(&process);
            let begun = begun.unwrap_or_else(|| panic!("{event}: nothing has begun"));
            history.ops.push(Op {
                time_us,
                ..end(begun, answered)
            });
        }
    }
    history
}

fn end(begun: Op, answered: &str) -> Op {
    let words: Vec<&str> = answered.split_whitespace().collect();
    match words[..] {
        ["fail"] => Op {
            phase: Phase::Fail,
            error: Some("refused".to_owned()),
            ..begun
        },
        ["info"] => Op {
            phase: Phase::Info,
            error: Some("no answer".to_owned()),
            ..begun
        },
        _ => Op {
            phase: Phase::Ok,
            answer: Some(answer(&begun.act, words)),
            ..begun
        },
    }
}

fn act(words: &[&str]) -> Act {
    let text = |index: usize| words[index].to_owned();
    match words[0] {
        "put" => Act::Put {
            key: text(1),
            value: text(2),
        },
        "cas" => Act::Cas {
            key: text(1),
            expected: value(words[2]),
            value: text(3),
        },
        "del" => Act::Delete { key: text(1) },
        "read" => Act::Read { key: text(1) },
        "cached" => Act::CachedRead { key: text(1) },
        "local" => Act::LocalRead { key: text(1) },
        "scan" => Act::Scan,
        "send" => Act::Produce {
            key: text(1),
            sequence: number(words[2]),
        },
        "commit" => Act::Commit {
            row: text(1),
            key: text(2),
            sequence: number(words[3]),
        },
        "poll" => Act::Fetch {
            partition: number(words[1]),
            offset: number(words[2]),
            node: words.get(3).map(|node| number(&node[1..])),
        },
        "handle" => Act::Handle {
            consumer_group: text(1),
            partition: number(words[2]),
            offset: number(words[3]),
        },
        "offsets" => Act::CommitOffsets {
            consumer_group: text(1),
        },
        "resume" => Act::Resume {
            consumer_group: text(1),
            partition: number(words[2]),
        },
        "txn" => Act::Txn {
            steps: words[1..].iter().map(|word| step(word)).collect(),
        },
        "open" => Act::Open {
            balances: balances(&words[1..]),
        },
        "move" => Act::Transfer {
            from: text(1),
            to: text(2),
            amount: number(words[3]),
        },
        "total" => Act::Balances,
        "add" => Act::Add {
            set: text(1),
            element: number(words[2]),
        },
        "elements" => Act::Elements { set: text(1) },
        "inc" => Act::Increment {
            counter: text(1),
            by: number(words[2]),
        },
        "count" => Act::Count { counter: text(1) },
        "lock" | "lease" => Act::Acquire {
            lock: text(1),
            leased: words[0] == "lease",
        },
        "unlock" => Act::Release {
            lock: text(1),
            token: number(words[2]),
        },
        "use" => Act::Use {
            lock: text(1),
            token: number(words[2]),
        },
        "fault" => Act::Fault { name: text(1) },
        "heal" => Act::Heal,
        "change" | "watch" => watched::act(words),
        _ => ending_act(words),
    }
}

fn ending_act(words: &[&str]) -> Act {
    let set = words[1].to_owned();
    match words[0] {
        "join" => Act::Join {
            set,
            element: number(words[2]),
        },
        "ending" => Act::Ending {
            set,
            ttl_ms: number(words[2]),
        },
        other => panic!("no operation is called {other}"),
    }
}

fn step(word: &str) -> Step {
    match word.split_once('+') {
        Some((list, element)) => Step::Append {
            list: list.to_owned(),
            element: number(element),
        },
        None => Step::Read {
            list: word.to_owned(),
        },
    }
}

fn answer(act: &Act, mut words: Vec<&str>) -> Answer {
    let mut answer = Answer::default();
    words.retain(|word| {
        if let Some(revision) = word.strip_prefix('@') {
            answer.revision = number(revision);
        } else if let Some(version) = word.strip_prefix('v').and_then(|v| v.parse().ok()) {
            answer.version = Some(version);
        } else if let Some((partition, offset)) = word
            .strip_prefix('p')
            .and_then(|place| place.split_once(':'))
        {
            answer.place = Some(Place {
                partition: number(partition),
                offset: number(offset),
            });
        } else {
            return *word != "ok";
        }
        false
    });
    match act {
        Act::Read { .. } | Act::CachedRead { .. } | Act::LocalRead { .. } => {
            answer.read = value(words[0]);
        }
        _ => answer.found = found(act, &words),
    }
    answer
}

fn found(act: &Act, words: &[&str]) -> Option<Found> {
    match act {
        Act::Scan => Some(Found::Rows(words.iter().map(|word| row(word)).collect())),
        Act::Fetch { .. } => {
            let (messages, end) = words.split_at(words.len() - 2);
            Some(Found::Messages {
                messages: messages.iter().map(|word| message(word)).collect(),
                end: number(end[1]),
            })
        }
        Act::Txn { .. } => Some(Found::Lists(words.iter().map(|word| list(word)).collect())),
        Act::Balances => Some(Found::Balances(balances(words))),
        Act::Elements { .. } => Some(Found::Elements(list(words[0]))),
        Act::Count { .. } => Some(Found::Count(number(words[0]))),
        Act::Ending { .. } => Some(ending(words)),
        Act::Watch { .. } => Some(watched::found(words)),
        Act::Acquire { .. } => Some(Found::Token(number(words[0]))),
        _ => None,
    }
}

fn ending(words: &[&str]) -> Found {
    if let Some(at) = words[0].strip_prefix("absent@") {
        return Found::Ending {
            at: number(at),
            incarnation: None,
        };
    }
    let numbers: Vec<u64> = words[0].split('/').map(number).collect();
    Found::Ending {
        at: numbers[0],
        incarnation: Some(Incarnation {
            created: numbers[1],
            ends_ms: numbers[2],
            now_ms: numbers.get(3).copied().unwrap_or(numbers[2] - 1),
            elements: list(words[1]),
        }),
    }
}

fn value(word: &str) -> Option<String> {
    (word != "nil").then(|| word.to_owned())
}

fn row(word: &str) -> (String, FoundRow) {
    let (key, found) = word.split_once('=').expect("a row is K=V*VERSION");
    let (value, version) = found.split_once('*').expect("a row is K=V*VERSION");
    let row = FoundRow {
        value: value.to_owned(),
        version: number(version),
    };
    (key.to_owned(), row)
}

fn message(word: &str) -> FoundMessage {
    let (offset, message) = word.split_once(':').expect("a message is OFFSET:KEY.SEQ");
    let (key, sequence) = message
        .split_once('.')
        .expect("a message is OFFSET:KEY.SEQ");
    FoundMessage {
        offset: number(offset),
        key: key.to_owned(),
        sequence: number(sequence),
    }
}

fn list(word: &str) -> Vec<u64> {
    let elements = word.trim_matches(['[', ']']).split(',');
    elements
        .filter(|element| !element.is_empty())
        .map(number)
        .collect()
}

fn balances(words: &[&str]) -> BTreeMap<String, i64> {
    let pairs = words.iter().filter_map(|word| word.split_once('='));
    pairs
        .map(|(account, balance)| (account.to_owned(), number(balance)))
        .collect()
}

fn number<N: std::str::FromStr>(word: &str) -> N {
    let read = word.trim().parse();
    read.unwrap_or_else(|_| panic!("{word} is no number"))
}
