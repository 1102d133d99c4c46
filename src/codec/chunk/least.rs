//! The search for the cut of smallest hash (FORMAT.md §11), once for every instruction set that makes it faster.
//!
//! Cutting where a hash of four bytes is smallest is Orson Peters' MinCDC. Every set finds the same cut; which
//! one searches is settled when a `Chunker` is made. Where the search begins and ends is the parent module's business.

use std::fmt;

/// What the hash of a cut is made with: ((x xor `mask`) · `multiplier`) mod 2³², x being four bytes as a `u32`.
#[derive(Clone, Copy)]
pub(super) struct CutHash {
    /// First four bytes of the chunker key.
    pub(super) mask: u32,
    /// The next four bytes, made odd so that no two x share a hash.
    pub(super) multiplier: u32,
}

impl CutHash {
    #[inline(always)]
    fn of(self, four: [u8; 4]) -> u32 {
        (u32::from_le_bytes(four) ^ self.mask).wrapping_mul(self.multiplier)
    }
}

/// An instruction set this processor has. One that it lacks cannot be named, so calling its code is sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instructions(Set);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Set {
    Baseline,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Instructions {
    /// Every set that can be used here; what all processors of the architecture have comes first, the fastest last.
    pub fn all_here() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut, reason = "only x86-64 has more sets"))]
        let mut all = vec![Self(Set::Baseline)];
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx2") {
                all.push(Self(Set::Avx2));
            }
            if std::arch::is_x86_feature_detected!("avx512f") {
                all.push(Self(Set::Avx512));
            }
        }
        all
    }

    /// The fastest set that can be used here.
    pub fn fastest_here() -> Self {
        Self::all_here().last().copied().expect("because the baseline is always there")
    }
}

impl fmt::Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Set::Baseline => "baseline",
            #[cfg(target_arch = "x86_64")]
            Set::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Set::Avx512 => "AVX-512",
        })
    }
}

/// The first position in `bytes` whose four bytes have the smallest hash. Takes four bytes or more.
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "code for an instruction set is unsafe to call"))]
pub(super) fn position_of_least(bytes: &[u8], hash: CutHash, instructions: Instructions) -> usize {
    match instructions.0 {
        Set::Baseline => search(bytes, hash, |block| least_of(block, hash)),
        // SAFETY: `Instructions` of this set are only made where the processor has it.
        #[cfg(target_arch = "x86_64")]
        Set::Avx2 => unsafe { x86::search_avx2(bytes, hash) },
        // SAFETY: `Instructions` of this set are only made where the processor has it.
        #[cfg(target_arch = "x86_64")]
        Set::Avx512 => unsafe { x86::search_avx512(bytes, hash) },
    }
}

/// Positions whose smallest hash is found before any of them is looked at by itself: few enough that looking
/// costs little beside the search, enough that reducing a vector to one number costs little too.
const BLOCK: usize = 512;

/// Finds the block that holds the smallest hash first, then the position in it; the earliest wins both times.
#[inline(always)]
fn search(bytes: &[u8], hash: CutHash, least_of_block: impl Fn(&[u8]) -> u32) -> usize {
    let block = |start: usize| &bytes[start..bytes.len().min(start + BLOCK + 3)];
    let (mut least_start, mut least) = (0, u32::MAX);
    for start in (0..bytes.len().saturating_sub(3)).step_by(BLOCK) {
        let here = least_of_block(block(start));
        if here < least {
            (least_start, least) = (start, here);
        }
    }
    let within = block(least_start).windows(4).position(|four| hash.of([four[0], four[1], four[2], four[3]]) == least);
    least_start + within.expect("because the smallest hash came from this block")
}

/// The smallest hash in a block; without dependencies between positions, so that compilers make vectors of it.
#[inline(always)]
fn least_of(block: &[u8], hash: CutHash) -> u32 {
    let mut least = u32::MAX;
    for phase in 0..block.len().min(4) {
        let (fours, _) = block[phase..].as_chunks::<4>();
        for four in fours {
            least = least.min(hash.of(*four));
        }
    }
    least
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, __m512i, _mm256_loadu_si256, _mm256_min_epu32, _mm256_mullo_epi32, _mm256_set1_epi32,
        _mm256_storeu_si256, _mm256_xor_si256, _mm512_loadu_si512, _mm512_min_epu32, _mm512_mullo_epi32,
        _mm512_set1_epi32, _mm512_storeu_si512, _mm512_xor_si512,
    };

    use super::{CutHash, least_of, search};

    macro_rules! search_with {
        (
            $search:ident, $feature:literal, $vector:ty,
            $splat:ident, $load:ident, $xor:ident, $multiply:ident, $min:ident, $store:ident
        ) => {
            #[target_feature(enable = $feature)]
            #[expect(unsafe_code, reason = "vectors are loaded and stored through pointers")]
            pub(super) fn $search(bytes: &[u8], hash: CutHash) -> usize {
                const WIDTH: usize = size_of::<$vector>();
                let mask = $splat(hash.mask.cast_signed());
                let multiplier = $splat(hash.multiplier.cast_signed());
                search(bytes, hash, |block| {
                    // One running minimum for each alignment of four bytes: they do not wait for each other.
                    let mut least = [$splat(-1); 4];
                    let mut start = 0;
                    while start + WIDTH + 3 <= block.len() {
                        let window = &block[start..start + WIDTH + 3];
                        for (phase, least) in least.iter_mut().enumerate() {
                            // SAFETY: `phase` is at most 3, and the window has WIDTH + 3 bytes.
                            let x = unsafe { $load(window[phase..].as_ptr().cast()) };
                            *least = $min(*least, $multiply($xor(x, mask), multiplier));
                        }
                        start += WIDTH;
                    }
                    let least = $min($min(least[0], least[1]), $min(least[2], least[3]));
                    let mut lanes = [0_u32; WIDTH / 4];
                    // SAFETY: the array is as wide as the vector.
                    unsafe { $store(lanes.as_mut_ptr().cast(), least) };
                    lanes.into_iter().fold(least_of(&block[start..], hash), u32::min)
                })
            }
        };
    }

    search_with!(
        search_avx2,
        "avx2",
        __m256i,
        _mm256_set1_epi32,
        _mm256_loadu_si256,
        _mm256_xor_si256,
        _mm256_mullo_epi32,
        _mm256_min_epu32,
        _mm256_storeu_si256
    );
    search_with!(
        search_avx512,
        "avx512f",
        __m512i,
        _mm512_set1_epi32,
        _mm512_loadu_si512,
        _mm512_xor_si512,
        _mm512_mullo_epi32,
        _mm512_min_epu32,
        _mm512_storeu_si512
    );
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, prop_assert_eq, prop_oneof, proptest};

    use super::{CutHash, Instructions, position_of_least};
    use crate::codec::hash::fill_keystream;

    fn naive(bytes: &[u8], hash: CutHash) -> usize {
        let hash_at = |i: usize| hash.of([bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3]]);
        (0..=bytes.len() - 4).min_by_key(|&i| (hash_at(i), i)).expect("there is a position")
    }

    proptest! {
        #[test]
        fn every_instruction_set_finds_the_earliest_smallest_hash(
            // Few different bytes make many ties.
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 4..3000),
                prop::collection::vec(0_u8..2, 4..3000),
            ],
            mask in any::<u32>(),
            multiplier in any::<u32>(),
        ) {
            let hash = CutHash { mask, multiplier: multiplier | 1 };
            for instructions in Instructions::all_here() {
                prop_assert_eq!(position_of_least(&bytes, hash, instructions), naive(&bytes, hash), "{}", instructions);
            }
        }
    }

    #[test]
    fn every_length_around_vectors_and_blocks_is_searched_to_its_end() {
        // The zero after the ones has the smallest hash and stands in the last position.
        let hash = CutHash { mask: 0, multiplier: 1 };
        for length in 4..1200 {
            let mut bytes = vec![1; length];
            bytes[length - 1] = 0;
            for instructions in Instructions::all_here() {
                assert_eq!(position_of_least(&bytes, hash, instructions), length - 4, "{instructions}, {length} bytes");
            }
        }
    }

    #[test]
    fn largest_hash_everywhere_is_a_tie_that_the_first_wins() {
        let hash = CutHash { mask: u32::MAX, multiplier: 1 };
        for instructions in Instructions::all_here() {
            assert_eq!(position_of_least(&[0; 2000], hash, instructions), 0, "{instructions}");
        }
    }

    #[test]
    fn search_agrees_with_mincdc() {
        use mincdc::Cdc;
        let mut bytes = vec![0; 100_000];
        fill_keystream(&[5; 32], b"mincdc", &mut bytes);
        for multiplier in [0x915f_77f5, 1, 0xffff_ffff] {
            let theirs = mincdc::MinCdcHash4::with_params(multiplier, 0);
            let hash = CutHash { mask: 0, multiplier };
            for (start, end) in [(0, 100_000), (17, 65_000), (99_000, 99_777), (3, 70)] {
                let found = 4 + position_of_least(&bytes[start..end], hash, Instructions::fastest_here());
                assert_eq!(found, theirs.best_splitpoint(&bytes[start..end]), "{multiplier:x} {start}..{end}");
            }
        }
    }
}
