//! Named scenarios, beside the random worlds: those hardly ever come upon them, for faults rarely
//! strike at just this moment.
//!
//! Each is a world without faults and without marks, whose messages are stopped by hand. Worlds of
//! the story `Plain` are compared with a document that merged every edit, in the end.

mod away;
mod copies;
mod crashes;
mod deletions;
mod identities;
mod limits;
mod objects;
mod old_clients;
mod past;
mod servers;

use driftless::wire::Operation;
use driftless::{Dataset, PutError, Report, SyncError};
use driftless_sim::{Edit, Setting, Step, Stop, Story, World};

/// A world that can be driven by hand, with shorter words.
struct Stage(World);

/// An hour of virtual time, in ms.
const HOUR: u32 = 3_600_000;

impl Stage {
    fn new(devices: usize, story: Story) -> Self {
        Self::with(devices, story, |_| {})
    }

    fn with(devices: usize, story: Story, tune: impl FnOnce(&mut Setting)) -> Self {
        let mut setting = Setting::quiet(1, devices);
        setting.story = story;
        setting.marks = false;
        tune(&mut setting);
        Self(World::new(setting).unwrap())
    }

    /// Two devices that hold `shared` and a counter of 5.
    fn two(story: Story) -> Self {
        let mut stage = Self::new(2, story);
        stage.put(0, "shared", 1);
        stage.increment(0, "count", 5);
        stage.sync(0);
        stage.sync(1);
        stage
    }

    /// Lets an app edit, which must succeed.
    #[track_caller]
    fn edit(&mut self, device: usize, edit: impl FnOnce(&Dataset) -> Result<(), PutError>) {
        assert!(self.0.edit(device, edit).unwrap(), "the edit is refused");
    }

    #[track_caller]
    fn put(&mut self, device: usize, key: &str, value: i64) {
        self.edit(device, |dataset| dataset.put(key, value));
    }

    #[track_caller]
    fn increment(&mut self, device: usize, key: &str, by: i64) {
        self.edit(device, |dataset| dataset.increment(key, by));
    }

    /// Inserts text at the front of a text.
    #[track_caller]
    fn write(&mut self, device: usize, key: &str, text: &str) {
        self.edit(device, |dataset| dataset.splice_text(key, 0, 0, text));
    }

    #[track_caller]
    fn remove(&mut self, device: usize, key: &str) {
        self.edit(device, |dataset| dataset.remove(key).map(drop));
    }

    #[track_caller]
    fn take(&mut self, step: Step<Edit>) {
        self.0.take(&step, Edit::apply).unwrap();
    }

    #[track_caller]
    fn try_sync(&mut self, device: usize) -> Result<Report, SyncError> {
        self.0.synchronize(device).unwrap()
    }

    #[track_caller]
    fn sync(&mut self, device: usize) -> Report {
        self.try_sync(device).unwrap()
    }

    /// Begins a synchronization and goes on until it is stopped at the door.
    #[track_caller]
    fn sync_until_stopped(&mut self, device: usize, operation: Operation, at: Stop) {
        self.0.stop(device, operation, at);
        self.take(Step::Sync(device));
        self.0.wait_for_stop(device).unwrap();
    }

    /// Lets go what is stopped, and time pass in which calls end.
    #[track_caller]
    fn let_go(&mut self, device: usize) {
        self.0.let_go(device);
        self.0.wait(HOUR).unwrap();
    }

    fn dataset(&self, device: usize) -> &Dataset {
        self.0.dataset(device)
    }

    fn number(&self, device: usize, key: &str) -> Option<i64> {
        self.dataset(device).get(key)?.as_i64()
    }

    fn counter(&self, device: usize, key: &str) -> Option<i64> {
        self.dataset(device).counter(key)
    }

    fn text(&self, device: usize, key: &str) -> Option<String> {
        self.dataset(device).text(key)
    }

    /// Brings the world to rest, and checks which keys all devices have.
    #[track_caller]
    fn settle(&mut self, keys: &[&str]) {
        self.0.settle().unwrap();
        assert_eq!(self.dataset(0).keys(), keys);
    }

    /// Returns the value of a record at the service, if it has one.
    fn record(&self, key: &str) -> Option<String> {
        let records = self.0.records().into_iter();
        let mut records = records.filter(|record| record.key.as_str() == key);
        records.next()?.value
    }
}
