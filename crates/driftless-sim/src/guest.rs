//! What a guest leaves behind who is merged into an identity: a dataset of devices, of old clients, or of both.

use driftless::Limits;
use driftless_document::{Actor, Document, Edit, Value, path};
use driftless_record::{Life, Lineage, Standing, plan};

use crate::cloud;
use crate::draw::Draw;

/// The records of a guest's dataset, and the edits that its state holds.
#[derive(Debug)]
pub(crate) struct Guest {
    pub(crate) records: Vec<(String, Option<String>)>,
    /// `None` where records of old clients are part of it, which become edits of whoever takes them in.
    pub(crate) edit: Option<Edit>,
}

impl Guest {
    /// Makes a guest who put a mark, and things under keys that our devices use too, as the bits say.
    pub(crate) fn new(kinds: u8, mark: &str, limits: &Limits, draw: &mut Draw) -> Self {
        let has = |bit: u8| kinds & (1 << bit) != 0;
        // An old client was all that the guest had, or wrote beside.
        let (is_old, is_beside) = (has(0) && has(1), has(0) && !has(1));
        let text = draw.between(-9, 9).to_string();
        let mut records = Vec::new();
        if is_old || is_beside {
            records.push((mark.to_owned(), Some(text.clone())));
            records.push(("s0".to_owned(), Some(text)));
        }
        if is_old {
            let edit = None;
            return Self { records, edit };
        }
        let actor: [u8; 8] = draw.seed()[..8].try_into().expect("8 of 32 bytes");
        let mut document = Document::new(cloud::DATASET, Actor::random(actor));
        let mut edit = Edit::default();
        let mut made = |one: Result<Edit, _>| edit.append(one.expect("a small edit is taken"));
        if !is_beside {
            made(document.put(mark, true.into(), 0));
        }
        if has(2) {
            made(document.increment("c0", 7, 0));
        }
        if has(3) {
            made(document.splice_text("t0", 0, 0, "guest ", 0));
        }
        if has(4) {
            made(document.insert("l0", None, &[Value::from(1)], 0));
        }
        if has(5) {
            made(document.add("e0", &1.into(), 0));
        }
        if has(6) {
            made(document.put_at(&path!["o0", "k0"], &Value::from("guest"), 0));
        }
        if has(7) {
            made(document.put("s1", "guest".into(), 0));
        }
        records.extend(slots(&document, limits, draw));
        let edit = (!is_beside).then_some(edit);
        Self { records, edit }
    }
}

fn slots(document: &Document, limits: &Limits, draw: &mut Draw) -> Vec<(String, Option<String>)> {
    let lineage: [u8; 8] = draw.seed()[..8].try_into().expect("8 of 32 bytes");
    let life = Life::Begun {
        lineage: Lineage::from_bytes(lineage),
        predecessor: None,
        over: None,
    };
    let push = plan(life, document.state(), &Standing::NOTHING, limits);
    push.expect("a few edits fit").patches
}
