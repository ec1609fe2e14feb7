//! A plan in words, for people who look at one that failed.

use std::fmt;

use crate::plan::{End, Plan, Setting, Step};

/// A plan as a line for the world, and one for each step.
impl<E: fmt::Debug> fmt::Display for Plan<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        tell_setting(&self.setting, f)?;
        let mut devices = self.setting.devices.max(1);
        for (number, (after, step)) in self.steps.iter().enumerate() {
            write!(f, "{:>5}. after {after:>5} ms, ", number + 1)?;
            tell_step(step, devices, f)?;
            writeln!(f)?;
            devices += usize::from(matches!(step, Step::Clone(_)));
        }
        f.write_str("       then faults end, and all synchronize until nobody has anything to say")
    }
}

fn tell_setting(setting: &Setting, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (devices, story) = (setting.devices, setting.story);
    let kept = if setting.buffered {
        "buffered"
    } else {
        "on disk"
    };
    write!(f, "{devices} devices, {story:?}, edits {kept}, faults: ")?;
    if setting.faults.is_empty() {
        return writeln!(f, "none");
    }
    let names = setting.faults.keys().map(|fault| format!("{fault:?}"));
    writeln!(f, "{}", names.collect::<Vec<_>>().join(", "))
}

/// Tells a step in a world of so many devices, whose numbers count around.
fn tell_step<E: fmt::Debug>(
    step: &Step<E>,
    devices: usize,
    f: &mut fmt::Formatter<'_>,
) -> fmt::Result {
    let at = |device: &usize| device % devices;
    match step {
        Step::Edit(device, edit) => write!(f, "device {} edits: {edit:?}", at(device)),
        Step::Mark(device) => write!(f, "device {} puts a key of its own", at(device)),
        Step::Sync(device) => write!(f, "device {} synchronizes", at(device)),
        Step::Cancel(device) => write!(f, "device {} drops a sync that runs", at(device)),
        Step::Network(device, true) => write!(f, "device {} finds the network", at(device)),
        Step::Network(device, false) => write!(f, "device {} loses the network", at(device)),
        Step::Wait(millis) => write!(f, "{millis} ms pass"),
        Step::Restart(device, end) => {
            let how = match end {
                End::Closed => "is closed",
                End::Killed => "is killed",
                End::PowerLost => "loses power",
            };
            write!(f, "device {} {how} and starts again", at(device))
        }
        Step::Doom(device, commits, keeps_next, loses_power) => {
            let (device, next) = (at(device), commits + 1);
            let when = if *keeps_next { "after" } else { "before" };
            let how = if *loses_power {
                "loses power"
            } else {
                "is killed"
            };
            write!(
                f,
                "device {device} {how} {when} the commit {next} from here is kept"
            )
        }
        Step::Clone(device) => {
            let device = at(device);
            write!(
                f,
                "device {devices} begins with a copy of the store of device {device}"
            )
        }
        // What is rare says enough by its name.
        rare => write!(f, "{rare:?}"),
    }
}
