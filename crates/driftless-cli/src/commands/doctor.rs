//! `doctor`: what is wrong with the store and with what the service holds, what is safe, and what to do.
//!
//! It looks first and repairs only if asked to. A repair is what a device does anyway: a damaged dataset of the store is set
//! aside, and a synchronization writes what is damaged at the service anew and brings here what is missing here.

use std::collections::BTreeSet;

use driftless::{Client, Dataset, DatasetError, DatasetName, IdentityId, Limits, OpenError};
use driftless_cli::checkup::{self, Checkup, Finding, Severity};
use driftless_cli::migration::Service;
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use crate::args::upkeep::DoctorArgs;
use crate::commands::sync::runtime;
use crate::exit::{Exit, Failure};
use crate::output::{Output, bytes, table};
use crate::progress;
use crate::settings::Settings;

pub(crate) fn doctor(
    settings: &Settings,
    args: DoctorArgs,
    output: &Output,
) -> Result<(), Failure> {
    settings.check_store()?;
    if args.repair {
        settings.check_for_sync()?;
    }
    let (client, loss) = open(settings, args.repair)?;
    let looked = look(settings, &args, &client, loss.is_some(), output);
    let closed = client.close();
    let cases = looked?;
    closed?;
    let report = Report { cases, loss };
    output.answer(|| report.object(), || report.text())?;
    report.check()
}

fn look(
    settings: &Settings,
    args: &DoctorArgs,
    client: &Client,
    has_lost: bool,
    output: &Output,
) -> Result<Vec<Case>, Failure> {
    let runtime = runtime()?;
    settings.logins.identify(client, &runtime)?;
    let service = match settings.has_service()? {
        true => Some(Service::new(
            settings.service_and_name()?.0,
            settings.pool()?,
        )),
        false => None,
    };
    let doctor = Doctor {
        client,
        settings,
        service,
        runtime: &runtime,
        has_lost,
    };
    let cases = doctor.examine(args.dataset.as_ref(), output)?;
    match args.repair {
        true => doctor.repair(cases, output),
        false => Ok(cases),
    }
}

/// Opens the store, also one that lost edits if it is to be repaired; then it tells which.
fn open(settings: &Settings, repair: bool) -> Result<(Client, Option<String>), Failure> {
    match settings.try_open(false)? {
        Ok(client) => Ok((client, None)),
        Err(OpenError::Lost { what }) if repair => Ok((settings.try_open(true)??, Some(what))),
        Err(OpenError::Lost { what }) => Err(Failure::new(Exit::Damaged, lost(&what))),
        Err(error) => Err(error.into()),
    }
}

fn lost(what: &str) -> String {
    format!(
        "the store lost acknowledged edits: {what}; what is left is whole, --repair goes on with it and gets from the service \
         what that knows"
    )
}

/// A dataset, and what was found of it.
struct Case {
    name: DatasetName,
    local: Local,
    /// `None` if no service was asked.
    remote: Option<Checkup>,
    /// What the repair did, or why it failed.
    repair: Option<Result<(), Failure>>,
}

/// Where something was found.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Store,
    Service,
}

impl Place {
    const fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Service => "service",
        }
    }
}

/// What the store holds of a dataset.
enum Local {
    /// It can be opened.
    Open(Dataset),
    /// It is damaged, and may be set aside.
    Damaged(Finding),
    /// It cannot be opened, and nothing may be done about it here.
    Refused(Finding),
}

struct Doctor<'a> {
    client: &'a Client,
    settings: &'a Settings,
    service: Option<Service>,
    runtime: &'a Runtime,
    /// The store lost edits, of which nobody knows what they were.
    has_lost: bool,
}

impl Doctor<'_> {
    fn examine(&self, only: Option<&DatasetName>, output: &Output) -> Result<Vec<Case>, Failure> {
        let names = match only {
            Some(name) => BTreeSet::from([name.clone()]),
            None => self.names()?,
        };
        let mut cases = Vec::new();
        for name in names {
            let spinner = progress::spinner(output, format!("examining {name}"));
            let case = self.case(name, None);
            spinner.finish_and_clear();
            cases.push(case?);
        }
        Ok(cases)
    }

    fn identity(&self) -> Result<IdentityId, Failure> {
        let shown = self.client.identity();
        shown.map_or_else(|| self.settings.identity(), Ok)
    }

    fn names(&self) -> Result<BTreeSet<DatasetName>, Failure> {
        let mut names: BTreeSet<DatasetName> = self.client.datasets()?.into_iter().collect();
        if let Some(service) = &self.service {
            let identity = self.identity()?;
            names.extend(self.runtime.block_on(service.datasets(&identity))?);
        }
        Ok(names)
    }

    fn local(&self, name: &DatasetName) -> Result<Local, Failure> {
        let error = match self.client.dataset(name.as_str()) {
            Ok(dataset) => return Ok(Local::Open(dataset)),
            Err(error) => error,
        };
        let is_damaged = is_damaged(&error);
        let failure = Failure::from(error);
        if failure.exit != Exit::Damaged {
            return Err(failure);
        }
        let what = failure.messages().join(": ");
        Ok(match is_damaged {
            true => Local::Damaged(Finding::new(
                Severity::Repairable,
                what,
                "other datasets are safe, and so is what was synchronized; a repair sets the rows aside and gets it from the \
                 service, but edits that were not synchronized stay in the rows set aside",
            )),
            false => Local::Refused(Finding::new(
                Severity::Broken,
                what,
                "a later version wrote it; update this one, and change nothing until then",
            )),
        })
    }

    fn case(
        &self,
        name: DatasetName,
        repair: Option<Result<(), Failure>>,
    ) -> Result<Case, Failure> {
        let local = self.local(&name)?;
        let remote = self.remote(&name, &local)?;
        Ok(Case {
            name,
            local,
            remote,
            repair,
        })
    }

    fn remote(&self, name: &DatasetName, local: &Local) -> Result<Option<Checkup>, Failure> {
        let Some(service) = &self.service else {
            return Ok(None);
        };
        let identity = self.identity()?;
        let limits = Limits::default();
        let local = match local {
            Local::Open(dataset) => Some(dataset),
            Local::Damaged(_) | Local::Refused(_) => None,
        };
        let examined = checkup::examine(service, &identity, name, &limits, local);
        Ok(Some(self.runtime.block_on(examined)?))
    }

    /// Repairs what can be, and examines it again.
    fn repair(&self, cases: Vec<Case>, output: &Output) -> Result<Vec<Case>, Failure> {
        let mut repaired = Vec::new();
        for case in cases {
            if !case.can_be_repaired(self.has_lost) {
                repaired.push(case);
                continue;
            }
            let spinner = progress::spinner(output, format!("repairing {}", case.name));
            let repair = self.repair_one(&case);
            spinner.finish_and_clear();
            repaired.push(self.case(case.name, Some(repair))?);
        }
        Ok(repaired)
    }

    fn repair_one(&self, case: &Case) -> Result<(), Failure> {
        if matches!(case.local, Local::Damaged(_)) {
            self.client.set_aside(case.name.as_str())?;
        }
        let dataset = self.client.dataset(case.name.as_str())?;
        self.runtime.block_on(dataset.synchronize())?;
        Ok(())
    }
}

/// Tells damage, which setting the rows aside helps, from what another version wrote.
fn is_damaged(error: &DatasetError) -> bool {
    use driftless::store::RecoverError;
    matches!(
        error,
        DatasetError::Store(RecoverError::Damaged { .. }) | DatasetError::Rows(_)
    )
}

impl Case {
    fn can_be_repaired(&self, has_lost: bool) -> bool {
        match &self.local {
            Local::Refused(_) => false,
            Local::Damaged(_) => true,
            Local::Open(dataset) => self.remote.as_ref().is_some_and(|remote| {
                let is_broken = remote.worst() >= Severity::Repairable;
                is_broken || has_lost || dataset.has_unsynced()
            }),
        }
    }

    fn findings(&self) -> Vec<(Place, Finding)> {
        let local = match &self.local {
            Local::Damaged(finding) | Local::Refused(finding) => vec![finding.clone()],
            Local::Open(dataset) => notes(dataset),
        };
        let local = local.into_iter().map(|finding| (Place::Store, finding));
        let remote = self.remote.iter().flat_map(|remote| &remote.findings);
        let remote = remote.map(|finding| (Place::Service, finding.clone()));
        local.chain(remote).collect()
    }

    /// Counts what is damaged in a place.
    fn damaged(&self, place: Place) -> usize {
        let findings = self.findings().into_iter();
        let damaged =
            |(at, finding): &(Place, Finding)| *at == place && finding.severity > Severity::Note;
        findings.filter(damaged).count()
    }
}

/// Returns what is worth knowing of a dataset that can be read.
fn notes(dataset: &Dataset) -> Vec<Finding> {
    let mut notes = Vec::new();
    if dataset.is_plain_only() {
        notes.push(Finding::new(
            Severity::Note,
            "it is kept as plain records only: the state has no room beside them",
            "it is synchronized record by record; once enough is removed, the next synchronization adopts it",
        ));
    }
    if dataset.has_unsynced() {
        notes.push(Finding::new(
            Severity::Note,
            "there are edits that the service is not known to have",
            "they are safe here; the next synchronization sends them",
        ));
    }
    notes
}

struct Report {
    cases: Vec<Case>,
    /// The edits that the store lost before, if the repair went on without them.
    loss: Option<String>,
}

impl Report {
    fn object(&self) -> Json {
        let datasets: Vec<Json> = self.cases.iter().map(object).collect();
        json!({ "datasets": datasets, "lost": self.loss })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(what) = &self.loss {
            text += &format!("the store lost edits, and goes on without them: {what}\n");
        }
        let header = ["dataset", "keys", "takes", "records", "they take"];
        text += &table(header, self.cases.iter().map(row));
        let mut is_well = true;
        for case in &self.cases {
            for (place, finding) in case.findings() {
                is_well &= finding.severity == Severity::Note;
                let severity = severity_name(finding.severity);
                let (name, place) = (&case.name, place.name());
                text += &format!("{name} ({place}, {severity}): {}\n", finding.what);
                text += &format!("    {}\n", finding.advice);
            }
            match &case.repair {
                Some(Ok(())) => text += &format!("{} was repaired\n", case.name),
                Some(Err(failure)) => {
                    let why = failure.messages().join(": ");
                    text += &format!("{} was not repaired: {why}\n", case.name);
                }
                None => {}
            }
        }
        if is_well {
            text += "nothing is damaged\n";
        }
        text
    }

    /// Fails if anything is still damaged: the store first.
    fn check(self) -> Result<(), Failure> {
        let damaged = |place| self.cases.iter().map(|case| case.damaged(place)).sum();
        let (local, remote): (usize, usize) = (damaged(Place::Store), damaged(Place::Service));
        let failed = self.cases.into_iter().filter_map(|case| case.repair?.err());
        if let Some(failure) = failed.into_iter().next() {
            return Err(failure);
        }
        match (local, remote) {
            (0, 0) => Ok(()),
            (0, found) => {
                let message = format!("{found} things are damaged at the service");
                Err(Failure::new(Exit::Service, message))
            }
            (found, _) => {
                let message = format!("{found} datasets of the store are damaged");
                Err(Failure::new(Exit::Damaged, message))
            }
        }
    }
}

fn object(case: &Case) -> Json {
    let findings = case.findings().into_iter().map(|(place, finding)| {
        json!({
            "place": place.name(),
            "severity": severity_name(finding.severity),
            "what": finding.what,
            "advice": finding.advice,
        })
    });
    let local = match &case.local {
        Local::Open(dataset) => json!({
            "keys": dataset.len(),
            "unsynced": dataset.has_unsynced(),
            "plain": dataset.is_plain(),
            "plain_only": dataset.is_plain_only(),
            "live": dataset.size().live,
        }),
        _ => Json::Null,
    };
    let remote = case.remote.as_ref().map(|remote| {
        json!({
            "records": remote.records,
            "bytes": remote.bytes,
            "reserved": remote.reserved,
            "plain": remote.plain,
        })
    });
    json!({
        "dataset": case.name,
        "store": local,
        "service": remote,
        "findings": findings.collect::<Vec<Json>>(),
        "repaired": case.repair.as_ref().map(Result::is_ok),
    })
}

fn row(case: &Case) -> [String; 5] {
    let (keys, takes) = match &case.local {
        Local::Open(dataset) => (dataset.len().to_string(), bytes(dataset.size().live as u64)),
        _ => ("?".to_owned(), "?".to_owned()),
    };
    let (records, taken) = match &case.remote {
        Some(remote) => (remote.records.to_string(), bytes(remote.bytes as u64)),
        None => (String::new(), String::new()),
    };
    [case.name.to_string(), keys, takes, records, taken]
}

const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Note => "note",
        Severity::Repairable => "repairable",
        Severity::Broken => "broken",
    }
}
