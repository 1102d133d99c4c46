//! T6: every fault meets every operation, at its first request and at later ones, with and without retries.
//!
//! The oracle: what is answered is true. A read brings the right bytes or an error; an object that is there is never said
//! to be absent; a put that says *created* has created; what may pass says so, and passes when it is asked again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use snap::id::SessionId;
use snap::storage::name::{ObjectName, Prefix};
use snap::storage::retry::{Budget, Clock, RetryStorage};
use snap::storage::{ByteRange, Put, Storage, StorageError, StorageErrorKind as Kind};

use super::behaviour::{content, pack};
use super::fake::{Fake, Operation};
use super::fault::Effect;

/// Pauses that are none.
#[derive(Debug)]
struct NoPause;

impl Clock for NoPause {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) {}

    fn draw(&self) -> u64 {
        0
    }
}

/// A store that is asked again at once, up to a thousand times.
pub(super) fn patient<S: Storage>(inner: S) -> RetryStorage<S> {
    asked_again(inner, 1000)
}

fn asked_again<S: Storage>(inner: S, most: u32) -> RetryStorage<S> {
    let budget = Budget { attempts_unheard_max: most, attempts_max: most, ..Budget::default() };
    RetryStorage::new(inner, Arc::new(NoPause), budget)
}

/// What a caller does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Put,
    PutTaken,
    GetAll,
    GetPart,
    GetEnd,
    GetNothing,
    List,
    Delete,
}

const CALLS: [Call; 8] =
    [Call::Put, Call::PutTaken, Call::GetAll, Call::GetPart, Call::GetEnd, Call::GetNothing, Call::List, Call::Delete];

impl Call {
    fn operation(self) -> Operation {
        match self {
            Self::Put | Self::PutTaken => Operation::Put,
            Self::GetAll | Self::GetPart | Self::GetEnd | Self::GetNothing => Operation::Get,
            Self::List => Operation::List,
            Self::Delete => Operation::Delete,
        }
    }

    /// Requests it makes when nothing goes wrong; a listing has three pages.
    fn requests(self) -> u64 {
        if self == Self::List { 3 } else { 1 }
    }
}

/// What may be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// The right answer, in spite of it.
    Right,
    /// An error that may pass, and does.
    Passing,
    /// This error, which does not pass.
    Lasting(Kind),
    /// Either is right.
    RightOrPassing,
}

const REFUSALS: &[(u16, &str, Expected)] = &[
    (500, "InternalError", Expected::Passing),
    (500, "", Expected::Passing),
    (502, "", Expected::Passing),
    (503, "SlowDown", Expected::Passing),
    (503, "ServiceUnavailable", Expected::Passing),
    (504, "", Expected::Passing),
    (429, "TooManyRequests", Expected::Passing),
    (409, "ConditionalRequestConflict", Expected::Passing),
    (409, "OperationAborted", Expected::Passing),
    (408, "RequestTimeout", Expected::Passing),
    (400, "RequestTimeout", Expected::Passing),
    // A proxy's word for an object is none.
    (404, "", Expected::Passing),
    (412, "", Expected::Passing),
    (416, "", Expected::Passing),
    (403, "AccessDenied", Expected::Lasting(Kind::Denied)),
    (403, "RequestTimeTooSkewed", Expected::Lasting(Kind::Denied)),
    (403, "", Expected::Lasting(Kind::Denied)),
    (401, "", Expected::Lasting(Kind::Denied)),
    (400, "AuthorizationHeaderMalformed", Expected::Lasting(Kind::Denied)),
    (301, "PermanentRedirect", Expected::Lasting(Kind::Denied)),
    (501, "NotImplemented", Expected::Lasting(Kind::Unsupported)),
    (507, "", Expected::Lasting(Kind::NoSpace)),
];

const EFFECTS: &[Effect] = &[
    Effect::LoseReply,
    Effect::Reset,
    Effect::ResetUpload,
    Effect::CutAnswer,
    Effect::Silence,
    Effect::StallAnswer,
    Effect::ShortLength,
    Effect::LongLength,
    Effect::FlipBit,
    Effect::SuccessWithError,
    Effect::EmptySuccess,
    Effect::WrongRange,
    Effect::IgnoreRange,
    Effect::DamageUpload,
    Effect::TruncateUpload,
    Effect::WrongEcho,
    Effect::LoopListing,
    Effect::LoseToken,
    Effect::LoseKey,
    Effect::Garbage,
    Effect::AnswerTwice,
];

/// What `effect` at request `at` of `call` may lead to; `None` where only what is above storage can notice it.
fn expected(call: Call, effect: Effect) -> Option<Expected> {
    use Effect as E;
    let is_read = call.operation() == Operation::Get;
    let is_part = matches!(call, Call::GetPart | Call::GetEnd);
    Some(match effect {
        E::Refuse(status, code) => {
            REFUSALS.iter().find(|refusal| (refusal.0, refusal.1) == (status, code)).expect("it is listed").2
        }
        E::LoseReply | E::Reset | E::CutAnswer | E::Silence | E::StallAnswer | E::Garbage => Expected::Passing,
        E::ResetUpload => Expected::Passing,
        // A single byte in an answer without content changes nothing.
        E::LongLength if call.operation() == Operation::Delete => Expected::RightOrPassing,
        E::LongLength => Expected::Passing,
        // Parts and listings have no checksum: TLS guards their way, seals and ids their content.
        E::FlipBit if is_part || call == Call::List => return None,
        E::FlipBit | E::ShortLength if call == Call::GetAll => Expected::RightOrPassing,
        E::ShortLength if is_part || call == Call::GetNothing => Expected::Passing,
        // An error that lost a byte or has a wrong one can still be read, or not.
        E::ShortLength | E::FlipBit => Expected::RightOrPassing,
        // An acknowledged put is seen to be there by its checksum's echo, else by its size.
        E::EmptySuccess if call == Call::PutTaken => return None,
        E::EmptySuccess if call == Call::Delete => return None,
        E::EmptySuccess if call == Call::Put => Expected::Lasting(Kind::Corrupt),
        E::SuccessWithError | E::EmptySuccess => Expected::Passing,
        E::WrongRange if is_part => Expected::Passing,
        E::DamageUpload if call == Call::Put => Expected::Passing,
        E::TruncateUpload | E::WrongEcho if call == Call::Put => Expected::Lasting(Kind::Corrupt),
        E::TruncateUpload if !matches!(call, Call::PutTaken) => return None,
        E::LoopListing if call == Call::List => Expected::Lasting(Kind::Unsupported),
        E::LoseToken | E::LoseKey if call == Call::List => Expected::Passing,
        E::AnswerTwice => Expected::RightOrPassing,
        _ => Expected::Right,
    })
    .filter(|_| is_read || !matches!(effect, E::WrongRange | E::IgnoreRange))
}

/// One case: a fresh prefix with a few objects, the fault, the call, and a look at what is there now.
struct Case<'f> {
    fake: &'f Fake,
    prefix: String,
    call: Call,
    effect: Effect,
}

impl Case<'_> {
    fn cells() -> Vec<ObjectName> {
        (0..6).map(|number| ObjectName::commit_cell(&SessionId([number; 16]))).collect()
    }

    fn key(&self, name: &ObjectName) -> String {
        format!("{}/{name}", self.prefix)
    }

    fn prepare(&self) {
        match self.call {
            Call::Put => {}
            Call::List => Self::cells().iter().for_each(|name| self.fake.keep(&self.key(name), b"x")),
            Call::PutTaken => self.fake.keep(&self.key(&pack()), b"another's"),
            _ => self.fake.keep(&self.key(&pack()), &content()),
        }
    }

    /// Makes the call; `true` is the right answer.
    fn make(&self, store: &dyn Storage) -> Result<bool, StorageError> {
        let reads = |range, wanted: Bytes| store.get(&pack(), range).map(|brought| brought == wanted);
        let all = content();
        match self.call {
            Call::Put => store.put_if_absent(&pack(), all).map(|put| put == Put::Created),
            Call::PutTaken => store.put_if_absent(&pack(), all).map(|put| put == Put::Exists),
            Call::GetAll => reads(ByteRange::All, all),
            Call::GetPart => reads(ByteRange::From { offset: 1000, length: 70_000 }, all.slice(1000..71_000)),
            Call::GetEnd => reads(ByteRange::Suffix(5000), all.slice(95_000..)),
            Call::GetNothing => reads(ByteRange::From { offset: 100_000, length: 0 }, Bytes::new()),
            Call::List => {
                let listed = store.list(&Prefix::Cells)?;
                Ok(listed.iter().map(|object| object.name.clone()).eq(Self::cells()))
            }
            Call::Delete => store.delete(&pack()).map(|()| true),
        }
    }

    /// What must be so whatever was answered, and what was answered must be so.
    fn is_true(&self, answer: &Result<bool, StorageError>) -> bool {
        let kept = self.fake.content(&self.key(&pack()));
        let is_whole = kept.as_ref() == Some(&content());
        let may_be_half = self.effect == Effect::TruncateUpload && answer.is_err();
        match self.call {
            Call::Put => answer.as_ref().map_or(kept.is_none() || is_whole || may_be_half, |right| *right && is_whole),
            Call::PutTaken => kept.as_deref() == Some(b"another's"),
            Call::Delete => answer.is_err() || kept.is_none(),
            Call::List => true,
            _ => is_whole,
        }
    }
}

/// How often a fault strikes, and how often the caller asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Course {
    /// It strikes once, and nobody asks again.
    Once,
    /// It strikes once, and the caller asks again.
    OnceAndAgain,
    /// It strikes two requests in a row, and the caller asks again.
    Twice,
    /// It never ends, and the caller gives up: whatever is answered, it is not false.
    Always,
}

impl Course {
    /// A store that is silent is waited for, each time.
    fn includes(self, call: Call, effect: Effect) -> bool {
        let is_slow = matches!(effect, Effect::Silence | Effect::StallAnswer);
        match self {
            Self::Once | Self::OnceAndAgain => true,
            Self::Twice => !is_slow || matches!(call, Call::Put | Call::GetAll),
            Self::Always => !is_slow,
        }
    }

    fn allows(self, answer: &Result<bool, StorageError>, expected: Expected) -> bool {
        let is_patient = self != Self::Once;
        match (answer, expected) {
            (Ok(right), _) if self == Self::Always => *right,
            (Err(_), _) if self == Self::Always => true,
            (Ok(right), Expected::Right | Expected::RightOrPassing) => *right,
            // What is read wrong twice in a row is damaged.
            (Err(error), Expected::Right | Expected::RightOrPassing) if self == Self::Twice => {
                error.kind == Kind::Corrupt
            }
            (Ok(right), Expected::Passing) => *right && is_patient,
            (Err(error), Expected::Passing | Expected::RightOrPassing) => error.is_transient() && !is_patient,
            (Err(error), Expected::Lasting(kind)) => error.kind == kind && !error.is_transient(),
            _ => false,
        }
    }
}

/// All cases, with what each may lead to.
fn cases() -> Vec<(Call, Effect, u64, Expected)> {
    let refusals = REFUSALS.iter().map(|(status, code, _)| Effect::Refuse(*status, code));
    let effects: Vec<Effect> = refusals.chain(EFFECTS.iter().copied()).collect();
    let mut cases = Vec::new();
    for call in CALLS {
        for effect in &effects {
            for at in 1..=call.requests() {
                if let Some(expected) = expected(call, *effect) {
                    cases.push((call, *effect, at, expected));
                }
            }
        }
    }
    cases
}

fn run(course: Course) -> (usize, Vec<String>) {
    let fake = Fake::start();
    fake.rule(|rules| rules.page_size = 2);
    let cases: Vec<_> = cases().into_iter().filter(|(call, effect, ..)| course.includes(*call, *effect)).collect();
    let count = cases.len();
    let mut wrong = Vec::new();
    for (number, (call, effect, at, expected)) in cases.into_iter().enumerate() {
        let case = Case { fake: &fake, prefix: format!("case-{number}"), call, effect };
        case.prepare();
        let store = fake.storage(&case.prefix);
        match course {
            Course::Once | Course::OnceAndAgain => fake.plan(Some(call.operation()), at, effect),
            Course::Twice => (at..at + 2).for_each(|at| fake.plan(Some(call.operation()), at, effect)),
            Course::Always => fake.plan_forever(effect),
        }
        let answer = match course {
            Course::Once => case.make(&store),
            Course::OnceAndAgain | Course::Twice => case.make(&patient(store)),
            Course::Always => case.make(&asked_again(store, 3)),
        };
        fake.recover();
        if !course.allows(&answer, expected) || !case.is_true(&answer) {
            wrong.push(format!("{call:?} meets {effect:?} at {at}, {course:?}, {expected:?} is right: {answer:?}"));
        }
    }
    assert!(fake.violations().is_empty(), "{:?}", fake.violations());
    (count, wrong)
}

#[test]
fn no_fault_makes_an_answer_false() {
    let (count, wrong) = run(Course::Once);
    assert!(count >= 400, "only {count} cases");
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_may_pass_passes_when_it_is_asked_again() {
    let (count, wrong) = run(Course::OnceAndAgain);
    assert!(count >= 400, "only {count} cases");
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_strikes_twice_passes_when_it_is_asked_again() {
    let (count, wrong) = run(Course::Twice);
    assert!(count >= 350, "only {count} cases");
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_never_ends_makes_no_answer_false() {
    let (count, wrong) = run(Course::Always);
    assert!(count >= 350, "only {count} cases");
    assert!(wrong.is_empty(), "{} of {count} cases:\n{}", wrong.len(), wrong.join("\n"));
}
