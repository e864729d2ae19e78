//! Discrimination: how well a score ranks the positive above the negative.

/// Area under the ROC curve: the probability that a positive scores above a negative, ties counting
/// half. `None` unless both kinds are present.
#[must_use]
pub fn roc_auc(scores: &[f64], positive: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let positives = positive.iter().filter(|&&is| is).count() as f64;
    let negatives = positive.len() as f64 - positives;
    if positives == 0.0 || negatives == 0.0 {
        return None;
    }
    // Mann-Whitney: the sum of the positives' ranks, ties sharing their mean rank.
    let mut rank_sum = 0.0;
    let mut start = 0;
    while start < order.len() {
        let tied =
            order[start..].iter().take_while(|&&at| scores[at] == scores[order[start]]).count();
        let mean_rank = start as f64 + (tied as f64 + 1.0) / 2.0;
        let among = order[start..start + tied].iter().filter(|&&at| positive[at]).count();
        rank_sum += mean_rank * among as f64;
        start += tied;
    }
    Some((rank_sum - positives * (positives + 1.0) / 2.0) / (positives * negatives))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_area_is_the_share_of_rightly_ranked_pairs() {
        // Pairs (positive, negative): 0.8>0.6, 0.8>0.1, 0.4<0.6, 0.4>0.1: three of four.
        let area = roc_auc(&[0.1, 0.4, 0.6, 0.8], &[false, true, false, true]).unwrap();
        assert!((area - 0.75).abs() < 1e-12);
    }

    #[test]
    fn ties_count_half_and_one_class_has_no_area() {
        let area = roc_auc(&[0.5, 0.5, 0.5], &[false, true, true]).unwrap();
        assert!((area - 0.5).abs() < 1e-12);
        assert_eq!(roc_auc(&[0.1, 0.2], &[true, true]), None);
    }
}
