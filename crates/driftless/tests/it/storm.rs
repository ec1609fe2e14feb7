//! Many devices at once: each of their synchronizations succeeds, and they agree in the end.

use driftless::{Dataset, Outcome};

use crate::service::Service;

const DEVICES: usize = 4;
const ROUNDS: i64 = 20;

async fn work(device: usize, notes: Dataset) -> u32 {
    let mut conflicts = 0;
    for round in 0..ROUNDS {
        notes.put("contended", format!("{device} {round}")).unwrap();
        notes.put(format!("own{device}"), round).unwrap();
        notes.increment("count", 1).unwrap();
        notes.splice_text("text", 0, 0, "x").unwrap();
        let report = notes.synchronize().await.unwrap();
        assert_eq!(report.outcome, Outcome::Synced);
        conflicts += report.conflicts;
    }
    conflicts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_that_push_all_the_time_succeed_and_agree() {
    let service = Service::start().await;
    let home = tempfile::tempdir().unwrap();
    let clients: Vec<_> = (0..DEVICES)
        .map(|n| service.device(&home.path().join(n.to_string())))
        .collect();
    let datasets: Vec<Dataset> = clients
        .iter()
        .map(|client| client.dataset("notes").unwrap())
        .collect();
    let working = datasets.iter().cloned().enumerate();
    let working: Vec<_> = working
        .map(|(n, notes)| tokio::spawn(work(n, notes)))
        .collect();
    let mut conflicts = 0;
    for work in working {
        conflicts += work.await.unwrap();
    }
    assert!(conflicts > 0, "nobody met anybody");
    for notes in &datasets {
        notes.synchronize().await.unwrap();
    }
    let total = DEVICES as i64 * ROUNDS;
    for notes in &datasets {
        assert_eq!(notes.state(), datasets[0].state());
        assert_eq!(notes.counter("count"), Some(total));
        assert_eq!(notes.text("text").unwrap().len() as i64, total);
        assert!(!notes.has_unsynced());
    }
}
