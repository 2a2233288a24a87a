//! How often units fit into a bound.

use proptest::prelude::*;

use crate::plan::solver::problem::fitting;

proptest! {
    #[test]
    fn so_many_fit_as_a_division_says(
        bound in prop_oneof![any::<u64>().prop_map(u128::from), any::<u128>(), Just(u128::MAX)],
        shift in 0..128_u32,
        units in prop_oneof![0..5_u64, any::<u64>()],
    ) {
        let bound = bound >> shift;
        let quotient = bound / u128::from(units.max(1));
        prop_assert_eq!(fitting(bound, units), u64::try_from(quotient).unwrap_or(u64::MAX));
    }
}
