//! What follows a failed request: wait and send it again, correct what was wrong, or give up.
//!
//! Each cause has its own budget. Waiting has the attempts it was given; the clock is corrected
//! once; the credentials are renewed once. Sent again is only what may be:
//!
//! | failure | what reads, sets or deletes | UpdateRecords, BulkPublish |
//! | --- | --- | --- |
//! | throttled | after a wait | after a wait: nothing was applied |
//! | 5xx, time-out, lost connection | after a wait | never: it may have been applied |
//! | no connection | after a wait | never: its token and counts may be old by then |
//! | clock off, credentials expired or unknown | at once | at once: it was refused |
//! | anything else | never | never |

use std::time::Duration;

use driftless_wire::{ApiError, ErrorCode, Operation, Timestamp};

use crate::error::ExchangeError;

/// The longest first wait.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A clock is called off only beyond this; the service allows five minutes, its Date header has
/// whole seconds, and an answer takes a while.
const SKEW_MILLIS: u64 = 60_000;

/// What to do now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Wait for a random part of this, then send again.
    Wait(Duration),
    /// The service's clock is ahead by so many milliseconds, or behind; sign anew and send again.
    CorrectClock(i64),
    /// Get other credentials, and if there are any, send again.
    Renew,
    /// The failure stands.
    GiveUp,
}

/// The budgets of one exchange.
#[derive(Debug)]
pub(crate) struct Retries {
    /// Whether twice is as good as once.
    is_repeatable: bool,
    waits_left: u32,
    longest: Duration,
    clock_corrected: bool,
    renewed: bool,
}

impl Retries {
    pub(crate) fn new(operation: Operation, attempts: u32) -> Self {
        let once = [Operation::UpdateRecords, Operation::BulkPublish];
        Self::of(!once.contains(&operation), attempts)
    }

    /// The budgets of a request to Cognito Identity, all of which may be sent again.
    pub(crate) fn of_identity(attempts: u32) -> Self {
        Self::of(true, attempts)
    }

    fn of(is_repeatable: bool, attempts: u32) -> Self {
        Self {
            is_repeatable,
            waits_left: attempts.saturating_sub(1),
            longest: FIRST_WAIT,
            clock_corrected: false,
            renewed: false,
        }
    }

    /// Decides after a failure; `now` is the time that the request was signed with, `server` the
    /// Date of the answer.
    pub(crate) fn after(
        &mut self,
        error: &ExchangeError,
        now: Timestamp,
        server: Option<Timestamp>,
    ) -> Step {
        if let Some(error) = error.api() {
            if let Some(ahead) = skew(error, now, server)
                && !std::mem::replace(&mut self.clock_corrected, true)
            {
                return Step::CorrectClock(ahead);
            }
            if of_credentials(error) && !std::mem::replace(&mut self.renewed, true) {
                return Step::Renew;
            }
        }
        if !self.may_repeat(error) || self.waits_left == 0 {
            return Step::GiveUp;
        }
        self.waits_left -= 1;
        let longest = self.longest;
        self.longest = (longest * 2).min(LONGEST_WAIT);
        Step::Wait(longest)
    }

    fn may_repeat(&self, error: &ExchangeError) -> bool {
        match error {
            ExchangeError::Api(error) if error.is_throttling() => true,
            ExchangeError::Api(error) => error.is_server_fault() && self.is_repeatable,
            ExchangeError::Connect(_)
            | ExchangeError::TimedOut { .. }
            | ExchangeError::Interrupted(_) => self.is_repeatable,
            _ => false,
        }
    }
}

/// Whether others than the credentials that were sent may be taken: these have expired, or the
/// service that gave them was replaced.
fn of_credentials(error: &ApiError) -> bool {
    matches!(
        error.code,
        ErrorCode::ExpiredToken | ErrorCode::UnrecognizedClient
    )
}

/// How far the service's clock is ahead, if a request was refused and that explains it.
///
/// A wrong secret has the same error type, so the Date header decides.
fn skew(error: &ApiError, now: Timestamp, server: Option<Timestamp>) -> Option<i64> {
    if !matches!(
        error.code,
        ErrorCode::InvalidSignature | ErrorCode::RequestTimeTooSkewed
    ) {
        return None;
    }
    let ahead = server?.as_millis().saturating_sub(now.as_millis());
    (ahead.unsigned_abs() > SKEW_MILLIS).then_some(ahead)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_704_164_645_678);

    fn check(operation: Operation, error: ExchangeError, step: Step) {
        assert_eq!(
            Retries::new(operation, 4).after(&error, NOW, None),
            step,
            "{operation} {error}"
        );
    }

    fn api(code: ErrorCode) -> ExchangeError {
        ApiError::new(code, "").into()
    }

    #[test]
    fn update_is_sent_again_only_when_it_was_throttled() {
        let update = Operation::UpdateRecords;
        check(
            update,
            api(ErrorCode::TooManyRequests),
            Step::Wait(FIRST_WAIT),
        );
        check(
            update,
            api(ErrorCode::LambdaThrottled),
            Step::Wait(FIRST_WAIT),
        );
        check(update, api(ErrorCode::InternalError), Step::GiveUp);
        check(update, ExchangeError::Connect("".into()), Step::GiveUp);
        check(update, ExchangeError::Interrupted("".into()), Step::GiveUp);
        check(
            update,
            ExchangeError::TimedOut { after: FIRST_WAIT },
            Step::GiveUp,
        );
    }

    #[test]
    fn what_can_be_repeated_is_sent_again_after_any_failure_on_the_way() {
        for operation in Operation::ALL {
            if matches!(operation, Operation::UpdateRecords | Operation::BulkPublish) {
                continue;
            }
            check(
                operation,
                api(ErrorCode::InternalError),
                Step::Wait(FIRST_WAIT),
            );
            check(
                operation,
                ExchangeError::Connect("".into()),
                Step::Wait(FIRST_WAIT),
            );
            check(
                operation,
                ExchangeError::Interrupted("".into()),
                Step::Wait(FIRST_WAIT),
            );
        }
    }

    #[test]
    fn trap_22_refusal_stands() {
        let list = Operation::ListRecords;
        check(list, api(ErrorCode::InvalidParameter), Step::GiveUp);
        check(list, api(ErrorCode::LimitExceeded), Step::GiveUp);
        check(list, api(ErrorCode::NotAuthorized), Step::GiveUp);
        check(list, api(ErrorCode::ResourceConflict), Step::GiveUp);
        check(
            list,
            ExchangeError::AnswerTooLarge { limit: 1 },
            Step::GiveUp,
        );
        check(list, ExchangeError::NoRuntime, Step::GiveUp);
    }

    #[test]
    fn waits_double_up_to_the_longest_and_end() {
        let mut retries = Retries::new(Operation::ListRecords, 9);
        let mut waits = Vec::new();
        while let Step::Wait(wait) = retries.after(&api(ErrorCode::InternalError), NOW, None) {
            waits.push(wait.as_millis());
        }
        assert_eq!(waits, [200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    }

    #[test]
    fn clock_is_corrected_once_and_only_if_it_is_off() {
        let mut retries = Retries::new(Operation::UpdateRecords, 1);
        let error = api(ErrorCode::InvalidSignature);
        let server = |ahead| Some(Timestamp::from_millis(NOW.as_millis() + ahead));
        assert_eq!(retries.after(&error, NOW, None), Step::GiveUp);
        assert_eq!(retries.after(&error, NOW, server(60_000)), Step::GiveUp);
        assert_eq!(
            retries.after(&error, NOW, server(-400_000)),
            Step::CorrectClock(-400_000)
        );
        assert_eq!(retries.after(&error, NOW, server(-400_000)), Step::GiveUp);
    }

    #[test]
    fn expired_and_unknown_credentials_are_renewed_once() {
        for code in [ErrorCode::ExpiredToken, ErrorCode::UnrecognizedClient] {
            let mut retries = Retries::new(Operation::UpdateRecords, 1);
            let error = api(code);
            assert_eq!(retries.after(&error, NOW, None), Step::Renew);
            assert_eq!(retries.after(&error, NOW, None), Step::GiveUp);
        }
    }
}
