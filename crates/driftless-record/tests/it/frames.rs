//! Frames and their text.

use driftless_document::State;
use driftless_record::{Frame, FrameError, Kind, Limits};
use proptest::prelude::*;

use crate::samples::{Dataset, Device, life};

/// Returns the texts of a head, a base that is deflated, and a log that isn't.
fn texts() -> Vec<String> {
    let (mut dataset, mut device) = (Dataset::default(), Device::new(0));
    device.put(
        "a",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    );
    let push = dataset
        .plan(life(None, 1), &device.state, &Limits::default())
        .unwrap();
    dataset.apply(&push.patches);
    device.put("b", true);
    let push = dataset
        .plan(
            life(Some(&push.stored), 0),
            &device.state,
            &Limits::default(),
        )
        .unwrap();
    dataset.apply(&push.patches);
    dataset.records.into_values().flatten().collect()
}

#[test]
fn a_frame_has_one_text() {
    let (mut deflated, mut kinds) = (0, 0);
    for text in texts() {
        let frame = Frame::decode(&text).unwrap();
        assert_eq!(frame.encode(), text);
        deflated += usize::from(frame.raw_len().is_some());
        kinds += match frame.kind() {
            Kind::Head(_) => 1,
            Kind::Log { .. } => 10,
            Kind::Run { .. } => 100,
            Kind::Base { .. } => 1_000,
        };
    }
    assert_eq!((deflated, kinds), (1, 1_011));
}

#[test]
fn no_prefix_of_a_frame_is_whole() {
    for text in texts()
        .iter()
        .filter(|text| Frame::decode(text).unwrap().follows(None))
    {
        for len in 0..text.len() {
            let is_whole = Frame::decode(&text[..len]).is_ok_and(|frame| frame.follows(None));
            assert!(!is_whole, "{len} of {text}");
        }
    }
}

#[test]
fn a_text_that_is_not_z85_is_refused() {
    for text in ["#####", "####a", "abcd", "ab\"cd", "äbcd", "%nSc1"] {
        assert!(
            matches!(Frame::decode(text), Err(FrameError::Text(_))),
            "{text}"
        );
    }
    assert!(matches!(Frame::decode(""), Err(FrameError::Header)));
}

#[test]
fn a_young_head_takes_40_characters() {
    let (dataset, device) = (Dataset::default(), Device::new(0));
    let mut push = dataset
        .plan(life(None, 1), &device.state, &Limits::default())
        .unwrap();
    let (key, text) = push.patches.remove(0);
    assert_eq!((key.as_str(), text.unwrap().len()), ("_driftless.head", 40));
    assert_eq!(push.stored.state(), &State::new());
}

proptest! {
    /// A changed character is refused, or makes another frame whose checksum is wrong.
    #[test]
    fn a_changed_frame_is_not_whole(at in any::<prop::sample::Index>(), character in 0x20_u8..0x7f) {
        for text in texts().iter().filter(|text| Frame::decode(text).unwrap().follows(None)) {
            let mut bytes = text.clone().into_bytes();
            *at.get_mut(&mut bytes) = character;
            let changed = String::from_utf8(bytes).unwrap();
            let is_whole = Frame::decode(&changed).is_ok_and(|frame| frame.follows(None));
            prop_assert!(!is_whole || changed == *text);
        }
    }

    /// Any text at all is read without a panic, and has itself as text if it is a frame.
    #[test]
    fn any_text_is_read(bytes in proptest::collection::vec(any::<u8>(), 0..64), is_marked in any::<bool>()) {
        let mut bytes = bytes;
        if is_marked && bytes.len() > 2 {
            bytes[0] = 0xd7;
            bytes[1] = bytes[1] & 0x0f | 0x10;
        }
        let text = z85::encode(&bytes);
        if let Ok(frame) = Frame::decode(&text) {
            prop_assert_eq!(frame.encode(), text);
        }
    }
}
