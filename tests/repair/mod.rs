//! Repairs of the index, of packs and of snapshots: what can be had again is, what cannot is named, nothing is deleted.

mod command;
mod index;
mod packs;
mod snapshots;

use jiff::Timestamp;
use snap::operation::backup::session_mark;
use snap::operation::check::{CheckRequest, Depth};
use snap::operation::repair::Repairing;
use snap::repository::generation::Access;
use snap::storage::name::{ObjectName, Prefix};

use super::prune::scene::{Hurry, Scene};

/// Who repairs in these tests.
fn repairing() -> Repairing<'static> {
    Repairing { mark: session_mark("host", Timestamp::UNIX_EPOCH), exclusive: false, patience: &Hurry }
}

fn reading() -> CheckRequest {
    CheckRequest { depth: Depth::Data(100.0), threads: 1, now: Timestamp::UNIX_EPOCH }
}

/// Flips a bit in the middle of an object.
fn damage(scene: &Scene, name: &str) {
    let (name, content) = object(scene, name);
    let mut bytes = content.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    scene.storage.inner().tamper(&name, bytes.into());
}

fn object(scene: &Scene, name: &str) -> (ObjectName, bytes::Bytes) {
    scene.objects().into_iter().find(|(other, _)| other.to_string() == name).expect("it is there")
}

/// The names of everything but sessions, cells and generations: a repair takes none of them away.
fn kept(scene: &Scene) -> Vec<String> {
    [Prefix::Packs, Prefix::Index, Prefix::Base, Prefix::Forgets].into_iter().flat_map(|of| scene.names(of)).collect()
}

fn generation(scene: &Scene) -> u64 {
    scene.another().generation(Access::Read).expect("it can be read").number
}
