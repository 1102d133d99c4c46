//! The scenes that are searched: small ones for every run of the tests, large ones for `cargo bench --bench model`.

use super::scene::{Crashes, Index, OldSegments, Patience, Plans, Replies, Scene, Task};
use super::state::{Packs, X, Y};

/// The packs of the beginning, by what they hold.
const PACK_X: Packs = 1;
const PACK_Y: Packs = 2;
const PACK_XY: Packs = 4;
/// A manifest that never comes.
const NEVER: u8 = u8::MAX;

/// One writer, which may be revoked once, two prunes at once.
pub(crate) const ONE: Scene = Scene {
    name: "one writer",
    tasks: [Task::Backup(X), Task::Nothing],
    sessions: [2, 0],
    prunes: [1, 1],
    packs: PACK_X,
    lost: 0,
    damaged: 0,
    distrusted_from: NEVER,
    first: X,
    index: Index::Young,
    segments: OldSegments::Rewritten,
    plans: Plans::Extreme,
    replies: Replies::Sure,
    patience: Patience::None,
    crashes: Crashes::Never,
};

pub(crate) const ONE_LOST_REPLIES: Scene = Scene { name: "one writer, lost replies", replies: Replies::Lost, ..ONE };

pub(crate) const ONE_CRASHES: Scene =
    Scene { name: "one writer that dies", crashes: Crashes::Anywhere, replies: Replies::Lost, ..ONE };

/// Two chunks, in packs of one and of both.
pub(crate) const TWO_CHUNKS: Scene = Scene {
    name: "one writer, two chunks",
    tasks: [Task::Backup(X | Y), Task::Nothing],
    sessions: [1, 0],
    packs: PACK_X | PACK_XY,
    first: X | Y,
    ..ONE
};

pub(crate) const KEPT_SEGMENTS: Scene =
    Scene { name: "old segments kept", index: Index::Aged, segments: OldSegments::Kept, ..ONE };

pub(crate) const UNDO: Scene =
    Scene { name: "undo", tasks: [Task::Undo, Task::Nothing], index: Index::Aged, ..ONE_LOST_REPLIES };

pub(crate) const TWO: Scene =
    Scene { name: "two writers", tasks: [Task::Backup(X), Task::Backup(X)], sessions: [1, 1], ..ONE };

pub(crate) const TWO_LOST_REPLIES: Scene = Scene { name: "two writers, lost replies", replies: Replies::Lost, ..TWO };

pub(crate) const REPACK: Scene =
    Scene { name: "a repack and a writer", tasks: [Task::Repack(X), Task::Backup(X)], sessions: [1, 1], ..ONE };

/// Nobody writes, but a pruner runs again while another sleeps.
pub(crate) const PRUNERS: Scene =
    Scene { name: "pruners alone", tasks: [Task::Nothing; 2], prunes: [2, 1], packs: PACK_X | PACK_XY, ..ONE };

/// The pack of both chunks is named and gone, and nobody writes.
pub(crate) const GONE: Scene = Scene {
    name: "a pack is gone",
    tasks: [Task::Nothing; 2],
    packs: PACK_X | PACK_XY,
    lost: PACK_XY,
    plans: Plans::Any,
    ..ONE
};

/// It is gone, pruners know, and the first manifest distrusts it.
pub(crate) const FOUND_GONE: Scene = Scene {
    name: "a pack found gone",
    tasks: ONE.tasks,
    plans: Plans::Extreme,
    damaged: PACK_XY,
    distrusted_from: 1,
    ..GONE
};

/// A damaged pack, and an intact one with the same chunk, known from the beginning.
pub(crate) const DISTRUSTED: Scene =
    Scene { name: "a distrusted pack", packs: PACK_X | PACK_XY, damaged: PACK_X, distrusted_from: 0, ..ONE };

/// A damaged pack that the first manifest distrusts; chunk x is elsewhere too, chunk y is not.
pub(crate) const DAMAGED: Scene = Scene {
    name: "a pack found damaged",
    packs: PACK_X | PACK_XY,
    damaged: PACK_XY,
    distrusted_from: 1,
    first: Y,
    ..ONE
};

/// The only pack is damaged, and the first manifest says so.
pub(crate) const ALL_DAMAGED: Scene =
    Scene { name: "the only pack found damaged", damaged: PACK_X, distrusted_from: 1, ..ONE };

/// Searched to the end by every run of the tests.
pub(crate) const SMALL: &[Scene] = &[
    ONE_CRASHES,
    TWO,
    KEPT_SEGMENTS,
    UNDO,
    Scene { plans: Plans::Any, ..TWO_CHUNKS },
    PRUNERS,
    GONE,
    FOUND_GONE,
    DISTRUSTED,
    DAMAGED,
    ALL_DAMAGED,
];

/// Searched to the end by the bench.
pub(crate) const LARGE: &[Scene] = &[
    Scene { name: "two writers, one revoked and back, lost replies", sessions: [2, 1], ..TWO_LOST_REPLIES },
    Scene { name: "two writers, one dies and is back", sessions: [2, 1], crashes: Crashes::Anywhere, ..TWO },
    Scene { name: "two writers, three prunes", prunes: [2, 1], ..TWO },
    Scene { name: "two writers, old segments kept", segments: OldSegments::Kept, ..TWO_LOST_REPLIES },
    Scene { name: "two writers, any plan", plans: Plans::Any, ..TWO_LOST_REPLIES },
    Scene {
        name: "two writers, two chunks, lost replies",
        tasks: [Task::Backup(X | Y), Task::Backup(X)],
        packs: PACK_XY,
        first: X | Y,
        ..TWO_LOST_REPLIES
    },
    Scene {
        name: "two writers, a pack of each chunk",
        tasks: [Task::Backup(X | Y), Task::Backup(Y)],
        packs: PACK_X | PACK_Y,
        first: X | Y,
        ..TWO
    },
    Scene {
        name: "a repack of what another wants",
        tasks: [Task::Repack(X | Y), Task::Backup(X | Y)],
        packs: PACK_XY,
        first: X | Y,
        ..TWO_LOST_REPLIES
    },
    Scene { name: "a repack, three prunes", prunes: [2, 1], ..REPACK },
    Scene {
        name: "undo beside a backup",
        tasks: [Task::Backup(X | Y), Task::Undo],
        packs: PACK_X | PACK_XY,
        first: X | Y,
        index: Index::Aged,
        ..TWO_LOST_REPLIES
    },
    Scene { name: "undo, three prunes", tasks: [Task::Backup(X), Task::Undo], prunes: [2, 1], ..TWO },
    Scene { name: "one writer, dying twice, three prunes", sessions: [3, 0], prunes: [2, 1], ..ONE_CRASHES },
    Scene { name: "two writers and a distrusted pack", sessions: [1, 1], tasks: TWO.tasks, ..DISTRUSTED },
    Scene { name: "two writers and a pack found damaged", sessions: [1, 1], tasks: TWO.tasks, ..DAMAGED },
    Scene { name: "two writers and the only pack found damaged", sessions: [1, 1], tasks: TWO.tasks, ..ALL_DAMAGED },
    Scene { name: "two writers and a pack found gone", sessions: [1, 1], tasks: TWO.tasks, ..FOUND_GONE },
];

/// All at once: two chunks, two writers of which one is revoked and comes back, lost replies.
pub(crate) const LARGEST: Scene = Scene {
    name: "two writers, one revoked and back, two chunks",
    tasks: [Task::Backup(X | Y), Task::Backup(X)],
    sessions: [2, 1],
    packs: PACK_XY,
    first: X | Y,
    ..TWO_LOST_REPLIES
};

/// Nobody dies and nobody is revoked: everyone must end well.
pub(crate) const PATIENT: Scene = Scene { name: "two patient prunes", patience: Patience::Endless, ..TWO };

/// What patience cannot do: a dead session is waited for without end.
pub(crate) const TOO_PATIENT: Scene =
    Scene { name: "a dead writer and patience", crashes: Crashes::Anywhere, patience: Patience::Endless, ..ONE };
