//! Where the repository of a storm is, and what goes wrong there: hours pass at once, and a store in S3 answers badly.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

#[cfg(feature = "s3")]
use super::fake::{Fake, Operation};
#[cfg(feature = "s3")]
use super::fault::Effect;
use super::storm::folder;
use crate::dice::Dice;

/// More than a writer elsewhere may be silent.
const LONG: Duration = Duration::from_secs(7 * 3600);

/// A place for a repository.
#[derive(Clone)]
pub(crate) enum Place {
    Local(Arc<TempDir>),
    #[cfg(feature = "s3")]
    S3(Arc<Fake>),
}

impl Place {
    pub(crate) fn local() -> Self {
        Self::Local(Arc::new(folder()))
    }

    #[cfg(feature = "s3")]
    pub(crate) fn s3() -> Self {
        let fake = Fake::start();
        fake.rule(|rules| rules.page_size = 7);
        Self::S3(Arc::new(fake))
    }

    pub(crate) fn address(&self) -> String {
        match self {
            Self::Local(folder) => folder.path().join("repository").display().to_string(),
            #[cfg(feature = "s3")]
            Self::S3(fake) => fake.place("storm"),
        }
    }

    /// Ends all faults, and lets so much time pass that all who are silent are held for dead.
    pub(crate) fn recover(&self) {
        #[cfg(feature = "s3")]
        if let Self::S3(fake) = self {
            fake.recover();
        }
        self.let_time_pass();
    }

    pub(crate) fn disturbance(&self) -> Box<dyn Fn(&mut Dice) + Send + Sync> {
        let place = self.clone();
        Box::new(move |dice| place.disturb(dice))
    }

    fn disturb(&self, dice: &mut Dice) {
        if dice.one_in(10) {
            self.let_time_pass();
        }
        #[cfg(feature = "s3")]
        if let Self::S3(fake) = self {
            const EFFECTS: [Effect; 9] = [
                Effect::LoseReply,
                Effect::LoseReply,
                Effect::Reset,
                Effect::ResetUpload,
                Effect::CutAnswer,
                Effect::FlipBit,
                Effect::Refuse(409, "ConditionalRequestConflict"),
                Effect::Refuse(503, "SlowDown"),
                Effect::Refuse(500, "InternalError"),
            ];
            fake.recover();
            for _ in 0..2 {
                fake.plan(Some(Operation::Put), 1 + dice.below(6), *dice.pick(&EFFECTS));
            }
            // A part of an object has no checksum of the store's: FlipBit is for what the seals find, not here.
            fake.plan(None, 1 + dice.below(30), *dice.pick(&EFFECTS[..5]));
        }
    }

    /// By the store's clock, everything is seven hours older.
    fn let_time_pass(&self) {
        match self {
            Self::Local(folder) => grow_old(&folder.path().join("repository/s")),
            #[cfg(feature = "s3")]
            Self::S3(fake) => fake.advance(LONG),
        }
    }
}

fn grow_old(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        // One that is deleted meanwhile does not grow old.
        let Ok(file) = File::open(entry.path()) else { continue };
        let Ok(modified) = file.metadata().and_then(|status| status.modified()) else { continue };
        let _is_gone = file.set_times(FileTimes::new().set_modified(modified - LONG));
    }
}
