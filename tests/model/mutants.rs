//! The protocol without one rule, or without two that guard the same thing, and where and how soon that loses something.

use super::rules::Rule;
use super::scene::Scene;
use super::scenes::{
    ALL_DAMAGED, DAMAGED, DISTRUSTED, FOUND_GONE, GONE, KEPT_SEGMENTS, ONE, ONE_LOST_REPLIES, PRUNERS, REPACK, TWO,
    TWO_CHUNKS, UNDO,
};

pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    pub(crate) without: &'static [Rule],
    pub(crate) scene: Scene,
    /// Length of the shortest history that ends badly.
    pub(crate) steps: usize,
}

const fn mutant(without: &'static [Rule], name: &'static str, scene: Scene, steps: usize) -> Mutant {
    Mutant { name, without, scene, steps }
}

/// Each ends badly.
pub(crate) const MUTANTS: &[Mutant] = &[
    mutant(&[Rule::W1a], "NoMark", ONE, 13),
    mutant(&[Rule::W1b], "ReadsBeforeMark", ONE, 13),
    mutant(&[Rule::W2a], "EpochOfManifests", ONE, 15),
    mutant(&[Rule::W2b], "OnlyNewestIntent", TWO_CHUNKS, 15),
    mutant(&[Rule::W3a, Rule::W3d], "ReadsInertDeltas", ONE, 14),
    mutant(&[Rule::W3b], "TrustsUnfinished", REPACK, 20),
    mutant(&[Rule::W3c], "TrustsCondemned", ONE, 14),
    mutant(&[Rule::W3d], "TrustsDeleted", KEPT_SEGMENTS, 13),
    mutant(&[Rule::W3e], "ForgetsOldDeletions", KEPT_SEGMENTS, 29),
    mutant(&[Rule::W4a], "TrustsCache", ONE, 13),
    mutant(&[Rule::W4b], "ReusesUnderIntent", TWO, 20),
    mutant(&[Rule::W4c], "ReusesForgotten", ONE, 14),
    mutant(&[Rule::W5a], "DeltaBeforePack", TWO, 18),
    mutant(&[Rule::W5b], "NamesByContent", ONE, 15),
    mutant(&[Rule::W6a], "CellBeforeDelta", ONE, 15),
    mutant(&[Rule::W6b, Rule::W3d], "DeltaOfNewestEpoch", ONE, 28),
    mutant(&[Rule::W7a], "OverwritesCell", ONE, 9),
    mutant(&[Rule::W7b], "CellOfNewestEpoch", UNDO, 22),
    mutant(&[Rule::W8a], "IgnoresRevocation", ONE, 9),
    mutant(&[Rule::W8b], "KeepsItsView", ONE, 15),
    mutant(&[Rule::U], "UndoesUnseen", UNDO, 14),
    mutant(&[Rule::P0], "UnreadableIsAbsent", TWO_CHUNKS, 7),
    mutant(&[Rule::P2a], "HelpsWithOwnList", TWO_CHUNKS, 15),
    mutant(&[Rule::P2b], "OpensTwo", ONE, 16),
    mutant(&[Rule::P3a], "WaitsForNobody", ONE, 13),
    mutant(&[Rule::P3b], "ListsSessionsFirst", ONE, 13),
    mutant(&[Rule::P3c], "ForgetsSleepers", ONE, 14),
    mutant(&[Rule::P3d], "RevokesOver", ONE, 9),
    mutant(&[Rule::P4a], "ListsBeforeWaiting", ONE, 13),
    mutant(&[Rule::P4b], "DeletesAsPlanned", ONE, 13),
    mutant(&[Rule::P4c], "BelievesIndex", GONE, 7),
    mutant(&[Rule::P4e], "DeletesMore", ONE, 15),
    mutant(&[Rule::P5a], "LeavesDeltasOut", TWO_CHUNKS, 7),
    mutant(&[Rule::P5b, Rule::W3d], "AdoptsInertDeltas", ONE, 28),
    mutant(&[Rule::P5c], "ManifestBeforeSegments", ONE, 8),
    mutant(&[Rule::P6a], "DeletesOwnList", ONE, 22),
    mutant(&[Rule::P6b], "DeletesBeforeManifest", ONE, 20),
    mutant(&[Rule::P6c], "OverwritesManifest", ONE, 17),
    mutant(&[Rule::P7a], "DeletesUnnamedSegments", ONE, 17),
    mutant(&[Rule::P7b], "DeletesOwnEpoch", ONE, 21),
    mutant(&[Rule::P7c], "DeletesOpenMarks", ONE, 28),
    mutant(&[Rule::P7d], "DeletesYoungForgotten", ONE_LOST_REPLIES, 25),
    mutant(&[Rule::P7e], "DeletesLiveForgotten", UNDO, 21),
    mutant(&[Rule::P7g], "DeletesRevoked", ONE, 20),
    mutant(&[Rule::P7h], "DeletesOldCells", TWO_CHUNKS, 11),
    mutant(&[Rule::P7i], "DeletesSegmentsItSaw", PRUNERS, 27),
    mutant(&[Rule::V1], "AnyCellCounts", UNDO, 22),
    mutant(&[Rule::V2], "AnyDeltaCounts", TWO_CHUNKS, 25),
    mutant(&[Rule::D1], "DeduplicatesOnDistrusted", DISTRUSTED, 13),
    mutant(&[Rule::D2], "CountsDistrusted", DISTRUSTED, 13),
    mutant(&[Rule::D3], "ReusesOverDistrusted", ALL_DAMAGED, 13),
    mutant(&[Rule::D4], "DistrustsUnannounced", DAMAGED, 13),
    mutant(&[Rule::D4], "IgnoresMissing", FOUND_GONE, 14),
    mutant(&[Rule::D5], "DeletesAllThatIsLeft", ALL_DAMAGED, 7),
    mutant(&[Rule::D6], "TrustsAgain", ALL_DAMAGED, 21),
];

/// What others guard as well: without one of these nothing is lost.
pub(crate) const GUARDED_TWICE: &[&[Rule]] = &[&[Rule::W3a], &[Rule::W6b], &[Rule::P4d], &[Rule::P5b], &[Rule::P7f]];
