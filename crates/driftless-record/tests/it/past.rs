//! Bytes of released formats, which load for ever.

use std::path::PathBuf;

use driftless_document::{Body, Clock, Document, Scalar, State};
use driftless_record::{Frame, Kind, Limits, encode};

use crate::samples::{Dataset, Device, life};

fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/data/v1", name]
        .iter()
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn whole(state: &State) -> Vec<u8> {
    encode(&state.diff(&State::new()), &Clock::new())
}

#[test]
fn records_of_version_1_are_read() {
    let mut dataset = Dataset::default();
    for line in std::fs::read_to_string(path("records.txt"))
        .unwrap()
        .lines()
    {
        let (key, text) = line.split_once(' ').unwrap();
        dataset
            .records
            .insert(key.to_owned(), Some(text.to_owned()));
    }
    let kind = |name: &str| {
        Frame::decode(dataset.records[name].as_ref().unwrap())
            .unwrap()
            .kind()
    };
    assert!(matches!(
        kind("_driftless.run.0"),
        Kind::Run {
            logs: 63,
            end: Some(_),
            ..
        }
    ));
    assert!(matches!(
        kind("_driftless.base.0.0"),
        Kind::Base {
            generation: 0,
            parts: 1,
            ..
        }
    ));

    let stored = dataset.read(&Limits::default(), None).unwrap().unwrap();
    assert!(!stored.needs_repair());
    assert_eq!(stored.head().unwrap().sequence, 66);
    let state = std::fs::read_to_string(path("state.hex")).unwrap();
    assert_eq!(hex(&whole(stored.state())), state.trim());

    let document = Document::from_state("v1", Device::new(9).actor, stored.state().clone());
    assert_eq!(document.get("number").unwrap().as_i64(), Some(65));
    assert_eq!(
        document.get("greeting").unwrap().as_str(),
        Some("grüß dich")
    );
    assert_eq!(document.text("text").as_deref(), Some("some text"));
}

#[test]
#[ignore = "writes the fixture, which is made once"]
fn write_v1() {
    let (mut dataset, mut device) = (Dataset::default(), Device::new(3));
    device.put("greeting", "grüß dich");
    device.put("yes", true);
    device.put("nothing", Scalar::Null);
    device.put("half", 0.5);
    device.put("bytes", vec![0_u8, 255]);
    device.put("then", Scalar::Timestamp(1_790_000_000_000));
    device.put("counter", Scalar::Counter(7));
    let text = device.make_text("text");
    let end = device.insert(text, None, Body::characters("some ".to_owned()));
    device.insert(text, Some(end), Body::characters("text".to_owned()));
    let mut push = dataset
        .plan(life(None, 1), &device.state, &Limits::default())
        .unwrap();
    dataset.apply(&push.patches);
    for number in 0..66 {
        device.put("number", number);
        push = dataset
            .plan(
                life(Some(&push.stored), 1),
                &device.state,
                &Limits::default(),
            )
            .unwrap();
        dataset.apply(&push.patches);
    }
    let line =
        |(key, text): (&String, &Option<String>)| format!("{key} {}\n", text.as_ref().unwrap());
    let records: String = dataset.records.iter().map(line).collect();
    std::fs::write(path("records.txt"), records).unwrap();
    std::fs::write(path("state.hex"), hex(&whole(&device.state)) + "\n").unwrap();
}
