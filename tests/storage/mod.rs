//! The stores and what every one of them must do.
//!
//! `contract` holds one function for each promise; here each is run against each store. The other files test what is
//! particular to one.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::any::Any;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use snap::platform::Ways;
use snap::storage::Storage;
use snap::storage::faulty::FaultyStorage;
use snap::storage::local::LocalStorage;
use snap::storage::memory::MemoryStorage;
use snap::storage::retry::{Budget, RetryStorage};

mod contract;
mod decorators;
mod local;
mod names;
mod stopped_clock;

use stopped_clock::StoppedClock;

/// A fresh store, and what goes with it when it is dropped.
struct Fresh {
    storage: Box<dyn Storage>,
    _kept: Box<dyn Any>,
}

fn fresh_local(ways: Ways) -> Fresh {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let storage = LocalStorage::create(&folder.path().join("store"), ways).expect("a new store");
    Fresh { storage: Box::new(storage), _kept: Box::new(folder) }
}

fn fresh(storage: impl Storage + 'static) -> Fresh {
    Fresh { storage: Box::new(storage), _kept: Box::new(()) }
}

#[cfg(feature = "s3")]
fn fresh_s3() -> Fresh {
    let fake = crate::s3::fake::Fake::start();
    fake.rule(|rules| rules.page_size = 4);
    Fresh { storage: Box::new(fake.storage("a/repository")), _kept: Box::new(fake) }
}

fn patient<S: Storage>(inner: S) -> RetryStorage<S> {
    let time_max = Duration::from_secs(100_000);
    let budget = Budget { attempts_unheard_max: 100, attempts_max: 100, time_max, ..Budget::default() };
    RetryStorage::new(inner, Arc::new(StoppedClock::default()), budget)
}

fn shaky() -> FaultyStorage<MemoryStorage> {
    FaultyStorage::seeded(MemoryStorage::new(), 20_261_122, NonZeroU64::new(3).expect("because 3 is not 0"))
}

macro_rules! every_store_keeps {
    ($($promise:ident),* $(,)?) => {
        every_store_keeps!(@ local_native, super::fresh_local(super::Ways::Native), $($promise),*);
        every_store_keeps!(@ local_portable, super::fresh_local(super::Ways::Portable), $($promise),*);
        every_store_keeps!(@ memory, super::fresh(super::MemoryStorage::new()), $($promise),*);
        every_store_keeps!(@ retry, super::fresh(super::patient(super::MemoryStorage::new())), $($promise),*);
        every_store_keeps!(@ retry_over_faults, super::fresh(super::patient(super::shaky())), $($promise),*);
        every_store_keeps!(
            @ faulty_without_faults,
            super::fresh(super::FaultyStorage::scripted(super::MemoryStorage::new(), Vec::new())),
            $($promise),*
        );
        #[cfg(feature = "s3")]
        every_store_keeps!(@ s3, super::fresh_s3(), $($promise),*);

        /// The contract, for stores that are tried elsewhere.
        #[cfg(feature = "s3")]
        pub(crate) fn promises() -> Vec<(&'static str, fn(&dyn Storage))> {
            vec![$((stringify!($promise), contract::$promise as fn(&dyn Storage))),*]
        }
    };
    (@ $store:ident, $fresh:expr, $($promise:ident),*) => {
        mod $store {
            $(
                #[test]
                fn $promise() {
                    let fresh = $fresh;
                    super::contract::$promise(&*fresh.storage);
                }
            )*
        }
    };
}

every_store_keeps!(
    what_was_put_is_read_back,
    an_object_is_never_overwritten,
    of_many_puts_of_one_name_exactly_one_creates,
    many_objects_are_put_at_once,
    ranges_are_read_exactly,
    a_range_beyond_the_end_is_an_error,
    a_suffix_longer_than_the_object_is_all_of_it,
    an_absent_object_is_not_found,
    a_listing_is_sorted_and_bounded_by_its_prefix,
    a_listing_of_an_empty_store_is_empty,
    a_deleted_object_is_gone,
    an_absent_object_is_deleted,
    a_deleted_name_can_be_put_again,
    an_empty_object_is_an_object,
    settling_is_always_possible,
    errors_name_the_object_and_the_store,
);
