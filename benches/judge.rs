//! How often the test of relative limits is wrong, and how soon it is right: over shapes of noise and sizes of harm, and on
//! real series.
//!
//! `cargo bench --no-default-features --bench judge` prints the tables of `docs/judge.md`;
//! `cargo bench --no-default-features --bench judge -- DIR` does the same with the series of a folder (`*.csv` with a header
//! and a value in the last column; `windows.json` names the times in which something was wrong).
//!
//! Every row is judged by a seed of its own, the same each time.

#![expect(clippy::expect_used, reason = "a benchmark that cannot go on says so by panicking")]

use std::path::Path;

use safe_remove::health::{Bound, Levels, Sequential, Summary};
use safe_remove::model::{Quantity, Share};

/// A bake of 3 minutes with `every = "10s"`.
const BAKE: usize = 18;
/// `bake_max`, three times as long.
const LONGEST: usize = 54;
/// `max_increase = "20%"`
const LIMIT: f64 = 0.2;
const LEVELS: Levels = Levels { false_abort: 0.01, missed_harm: 0.001 };
/// Harm in limits.
const HARMS: [f64; 6] = [0.0, 0.5, 1.0, 1.5, 2.0, 4.0];
/// Samples of the reference: the default, and three times as many.
const REFERENCES: [usize; 2] = [10, 30];
const BAKES: usize = 2_000;

/// SplitMix64, and what else is drawn from it.
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn normal(&mut self) -> f64 {
        let (one, other) = (self.uniform().max(1e-300), self.uniform());
        (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos()
    }

    /// Student's with three degrees of freedom.
    fn heavy(&mut self) -> f64 {
        let square: f64 = (0..3).map(|_| self.normal().powi(2)).sum();
        self.normal() / (square / 3.0).sqrt()
    }

    fn poisson(&mut self, mean: f64) -> f64 {
        if mean > 60.0 {
            return (mean + mean.sqrt() * self.normal()).round().max(0.0);
        }
        let (least, mut product, mut count) = ((-mean).exp(), 1.0, 0.0);
        loop {
            product *= self.uniform();
            if product <= least {
                return count;
            }
            count += 1.0;
        }
    }

    /// How many of `of` events have this probability; of many, the normal approximation.
    fn binomial(&mut self, of: f64, probability: f64) -> f64 {
        let mean = of * probability;
        if mean > 60.0 {
            return (mean + (mean * (1.0 - probability)).sqrt() * self.normal()).round().clamp(0.0, of);
        }
        let (mut left, mut count) = (self.uniform(), 0.0);
        let mut here = (1.0 - probability).powf(of);
        while left > here && count < of {
            left -= here;
            here *= (of - count) / (count + 1.0) * probability / (1.0 - probability);
            count += 1.0;
        }
        count
    }
}

/// Samples, `None` where one is missing: of the noise, the harm as a factor of each sample, and how many there are.
type Shape = fn(&mut Random, &[f64]) -> Vec<Option<f64>>;

fn each(harm: &[f64], mut sample: impl FnMut(usize, f64) -> f64) -> Vec<Option<f64>> {
    harm.iter().enumerate().map(|(place, harm)| Some(sample(place, *harm))).collect()
}

fn resembling(random: &mut Random, harm: &[f64], memory: f64, spread: f64) -> Vec<Option<f64>> {
    let mut last = random.normal();
    each(harm, |_, harm| {
        last = memory * last + (1.0 - memory * memory).sqrt() * random.normal();
        100.0 * harm * (1.0 + spread * last)
    })
}

const SHAPES: [(&str, Shape); 18] = [
    ("normal, 2%", |r, harm| each(harm, |_, harm| 100.0 * harm * (1.0 + 0.02 * r.normal()))),
    ("normal, 5%", |r, harm| each(harm, |_, harm| 100.0 * harm * (1.0 + 0.05 * r.normal()))),
    ("normal, 10%", |r, harm| each(harm, |_, harm| 100.0 * harm * (1.0 + 0.10 * r.normal()))),
    ("normal, 20%", |r, harm| each(harm, |_, harm| 100.0 * harm * (1.0 + 0.20 * r.normal()))),
    ("Poisson, 10 a sample", |r, harm| each(harm, |_, harm| r.poisson(10.0 * harm))),
    ("Poisson, 100 a sample", |r, harm| each(harm, |_, harm| r.poisson(100.0 * harm))),
    ("Poisson, 1,000 a sample", |r, harm| each(harm, |_, harm| r.poisson(1_000.0 * harm))),
    ("AR(1), 0.7, 5%", |r, harm| resembling(r, harm, 0.7, 0.05)),
    ("heavy tails (t, 3), 4%", |r, harm| each(harm, |_, harm| 100.0 * harm * (1.0 + 0.04 * r.heavy()))),
    ("bursts of +60% for 4 samples, 2% of the time", |r, harm| {
        let mut left = 0_u32;
        each(harm, |_, harm| {
            left = if left > 0 { left - 1 } else { 4 * u32::from(r.uniform() < 0.02) };
            100.0 * harm * (1.0 + 0.03 * r.normal() + if left > 0 { 0.6 } else { 0.0 })
        })
    }),
    ("daily wave of ±30%, 4%", |r, harm| {
        let begin = r.uniform() * std::f64::consts::TAU;
        each(harm, |place, harm| {
            let wave = 0.3 * (begin + place as f64 * std::f64::consts::TAU / 8_640.0).sin();
            100.0 * harm * (1.0 + wave + 0.04 * r.normal())
        })
    }),
    ("a step of +8% that is not the removal's, 3%", |r, harm| {
        let at = harm.len() as f64 * r.uniform();
        each(harm, |place, harm| {
            let step = if place as f64 > at { 1.08 } else { 1.0 };
            100.0 * harm * step * (1.0 + 0.03 * r.normal())
        })
    }),
    ("quantised to tenths of it, 5%", |r, harm| {
        each(harm, |_, harm| (10.0 * harm * (1.0 + 0.05 * r.normal())).round())
    }),
    ("a tenth of the points missing, 5%", |r, harm| {
        let all = each(harm, |_, harm| 100.0 * harm * (1.0 + 0.05 * r.normal()));
        all.into_iter().map(|sample| sample.filter(|_| r.uniform() > 0.1)).collect()
    }),
    ("one outlier of 5 times, 3%", |r, harm| {
        let at = (harm.len() as f64 * r.uniform()) as usize;
        each(harm, |place, harm| 100.0 * harm * (1.0 + 0.03 * r.normal()) * if place == at { 5.0 } else { 1.0 })
    }),
    ("slow creep: the harm grows through the bake, 3%", |r, harm| {
        let full = harm.last().copied().unwrap_or(1.0) - 1.0;
        let begin = harm.iter().take_while(|harm| **harm == 1.0).count();
        each(harm, |place, _| {
            let grown = (place.saturating_sub(begin) as f64 / BAKE as f64).min(1.0);
            100.0 * (1.0 + full * grown) * (1.0 + 0.03 * r.normal())
        })
    }),
    ("saturation: nothing is above 130, 5%", |r, harm| {
        each(harm, |_, harm| (100.0 * harm * (1.0 + 0.05 * r.normal())).min(130.0))
    }),
    ("all of the harm in one sample of three, 3%", |r, harm| {
        each(harm, |place, harm| {
            let harm = if place % 3 == 0 { 1.0 + 3.0 * (harm - 1.0) } else { 1.0 };
            100.0 * harm * (1.0 + 0.03 * r.normal())
        })
    }),
];

/// Samples of events: of the noise, and the harm as a factor of each sample's probability.
type EventShape = fn(&mut Random, &[f64]) -> Vec<Share>;

fn events(harm: &[f64], mut sample: impl FnMut(usize, f64) -> (f64, f64)) -> Vec<Share> {
    let share = |(events, of)| Share { events, of };
    harm.iter().enumerate().map(|(place, harm)| share(sample(place, *harm))).collect()
}

/// Of so many events in each sample so many, by chance alone.
fn chance(random: &mut Random, harm: &[f64], of: f64, probability: f64) -> Vec<Share> {
    events(harm, |_, harm| (random.binomial(of, probability * harm), of))
}

/// The probability itself varies by `spread`, and resembles the one before.
fn varying(random: &mut Random, harm: &[f64], of: f64, probability: f64, spread: f64, memory: f64) -> Vec<Share> {
    let mut last = random.normal();
    events(harm, |_, harm| {
        last = memory * last + (1.0 - memory * memory).sqrt() * random.normal();
        let factor = (1.0 + spread * last).max(0.0);
        (random.binomial(of, (probability * harm * factor).min(1.0)), of)
    })
}

/// With the limit that each is judged by, as a share of its reference.
const EVENTS: [(&str, f64, EventShape); 13] = [
    ("1% of 1,000", 1.0, |r, harm| chance(r, harm, 1_000.0, 0.01)),
    ("1% of 1,000", 2.0, |r, harm| chance(r, harm, 1_000.0, 0.01)),
    ("0.1% of 10,000", 2.0, |r, harm| chance(r, harm, 10_000.0, 0.001)),
    ("1% of 10,000", 0.5, |r, harm| chance(r, harm, 10_000.0, 0.01)),
    ("1% of 100,000", 0.2, |r, harm| chance(r, harm, 100_000.0, 0.01)),
    ("20% of 100", 0.5, |r, harm| chance(r, harm, 100.0, 0.2)),
    ("1% of 100,000, and the 1% varies by 3%", 0.2, |r, harm| varying(r, harm, 100_000.0, 0.01, 0.03, 0.0)),
    ("1% of 100,000, and the 1% varies by a tenth", 0.5, |r, harm| varying(r, harm, 100_000.0, 0.01, 0.1, 0.0)),
    ("the same, each much like the one before (AR(1), 0.7)", 0.5, |r, harm| {
        varying(r, harm, 100_000.0, 0.01, 0.1, 0.7)
    }),
    ("1% of 10,000 in windows of 6 samples that overlap", 0.5, |r, harm| {
        let earlier = [[1.0; 5].as_slice(), harm].concat();
        let parts = chance(r, &earlier, 10_000.0 / 6.0, 0.01);
        let window = |place: usize| &parts[place..=place + 5];
        let sum = |place: usize, of: fn(&Share) -> f64| window(place).iter().map(of).sum::<f64>();
        (0..harm.len()).map(|place| Share { events: sum(place, |s| s.events), of: sum(place, |s| s.of) }).collect()
    }),
    ("1% of 10,000, and traffic doubles with the bake", 0.5, |r, harm| {
        let begin = harm.len() - LONGEST;
        events(harm, |place, harm| {
            let of = if place < begin { 10_000.0 } else { 20_000.0 };
            (r.binomial(of, 0.01 * harm), of)
        })
    }),
    ("1% of 2,000 to 20,000", 0.5, |r, harm| {
        events(harm, |_, harm| {
            let of = (2_000.0 + 18_000.0 * r.uniform()).round();
            (r.binomial(of, 0.01 * harm), of)
        })
    }),
    ("1% of 10,000, one sample of 50%", 0.5, |r, harm| {
        let at = (harm.len() as f64 * r.uniform()) as usize;
        events(harm, |place, harm| (r.binomial(10_000.0, if place == at { 0.5 } else { 0.01 * harm }), 10_000.0))
    }),
];

/// How many bakes ended how.
#[derive(Default)]
struct Count {
    /// Before the run: the reference is too noisy.
    refused: usize,
    aborted: usize,
    inconclusive: usize,
    clean: usize,
    /// Samples until a regression was shown.
    after: Vec<usize>,
}

impl Count {
    fn ran(&self) -> usize {
        self.aborted + self.inconclusive + self.clean
    }

    fn share(&self, of: usize) -> String {
        if self.ran() == 0 { "–".to_owned() } else { format!("{:.1}%", 100.0 * of as f64 / self.ran() as f64) }
    }

    fn refused(&self) -> String {
        format!("{:.0}%", 100.0 * self.refused as f64 / (self.refused + self.ran()).max(1) as f64)
    }

    fn median(&mut self) -> String {
        self.after.sort_unstable();
        self.after.get(self.after.len() / 2).map_or_else(|| "–".to_owned(), ToString::to_string)
    }
}

/// The sequential test, as it is built.
fn tested(count: &mut Count, samples: &[Option<Quantity>], reference: usize, limit: f64) {
    let before: Vec<Quantity> = samples[..reference].iter().copied().flatten().collect();
    let limit = Summary::of(&before).map_or(f64::NAN, |summary| summary.center + limit * summary.center.abs());
    let test = Sequential::new(&before, Bound::Above(limit), LEVELS);
    let Some(mut test) = test.filter(|test| test.can_tell(LONGEST)) else {
        count.refused += 1;
        return;
    };
    for (place, sample) in samples[reference..].iter().take(LONGEST).enumerate() {
        let Some(sample) = sample else { continue };
        if test.add(*sample).is_some() {
            count.aborted += 1;
            count.after.push(place + 1);
            return;
        }
        if place + 1 >= BAKE && test.is_within() {
            count.clean += 1;
            return;
        }
    }
    count.inconclusive += 1;
}

/// The judge of runs before the test: the mean of three samples, and so many samples in a row beyond the limit.
fn compared(count: &mut Count, samples: &[Option<f64>], reference: usize, failures: usize) {
    let before: Vec<f64> = samples[..reference].iter().rev().copied().flatten().take(3).collect();
    let limit = before.iter().sum::<f64>() / before.len() as f64 * (1.0 + LIMIT);
    let mut in_a_row = 0;
    for (place, sample) in samples[reference..].iter().take(BAKE).enumerate() {
        in_a_row = if sample.is_none_or(|sample| sample > limit) { in_a_row + 1 } else { 0 };
        if in_a_row >= failures {
            count.aborted += 1;
            count.after.push(place + 1);
            return;
        }
    }
    count.clean += 1;
}

fn main() {
    let folder = std::env::args().skip(1).find(|argument| !argument.starts_with("--"));
    match folder {
        None => {
            simulated();
            println!();
            shares();
        }
        Some(folder) => series(Path::new(&folder)),
    }
}

/// A row for each noise and each size of harm; in the cells of the test, with either reference.
fn simulated() {
    println!(
        "| noise | harm | before, `failures = 1` | before, `failures = 3` | too noisy | aborted | inconclusive | clean | after |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, shape) in SHAPES {
        for harm in HARMS {
            let mut earlier = [1, 3].map(|failures| (failures, Count::default()));
            let mut tests = REFERENCES.map(|reference| (reference, Count::default()));
            for (reference, count) in &mut tests {
                let reference = *reference;
                let mut random = Random(42);
                let factor = |place: usize| if place < reference { 1.0 } else { 1.0 + LIMIT * harm };
                let factors: Vec<f64> = (0..reference + LONGEST).map(factor).collect();
                for _ in 0..BAKES {
                    let samples = shape(&mut random, &factors);
                    tested(count, &quantities(&samples), reference, LIMIT);
                    if reference == REFERENCES[0] {
                        for (failures, count) in &mut earlier {
                            compared(count, &samples, reference, *failures);
                        }
                    }
                }
            }
            let [one, three] =
                earlier.map(|(_, mut count)| format!("{}, {}", count.share(count.aborted), count.median()));
            let cell = |of: &dyn Fn(&Count) -> String| tests.each_ref().map(|(_, count)| of(count)).join(" / ");
            let (refused, aborted) = (cell(&Count::refused), cell(&|count| count.share(count.aborted)));
            let (open, clean) =
                (cell(&|count| count.share(count.inconclusive)), cell(&|count| count.share(count.clean)));
            let after = tests.each_mut().map(|(_, count)| count.median()).join(" / ");
            println!("| {name} | {harm} | {one} | {three} | {refused} | {aborted} | {open} | {clean} | {after} |");
        }
    }
}

fn quantities(numbers: &[Option<f64>]) -> Vec<Option<Quantity>> {
    numbers.iter().map(|number| number.map(Quantity::Number)).collect()
}

/// The same for shares, tested as shares, and as the numbers that they come to.
fn shares() {
    println!(
        "| events | limit | harm | as numbers: too noisy | as numbers: aborted | as numbers: clean | too noisy | aborted | inconclusive | clean | after |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |");
    for (name, limit, shape) in EVENTS {
        for harm in HARMS {
            let [mut tests, mut numbers] = [(), ()].map(|()| REFERENCES.map(|_| Count::default()));
            for ((reference, count), number) in REFERENCES.into_iter().zip(&mut tests).zip(&mut numbers) {
                let mut random = Random(42);
                let factor = |place: usize| if place < reference { 1.0 } else { 1.0 + limit * harm };
                let factors: Vec<f64> = (0..reference + LONGEST).map(factor).collect();
                for _ in 0..BAKES {
                    let samples: Vec<_> = shape(&mut random, &factors).into_iter().map(Quantity::Share).collect();
                    let plain = samples.iter().map(|share| Some(Quantity::Number(share.value()))).collect::<Vec<_>>();
                    tested(count, &samples.into_iter().map(Some).collect::<Vec<_>>(), reference, limit);
                    tested(number, &plain, reference, limit);
                }
            }
            let after = tests.each_mut().map(Count::median).join(" / ");
            let cells = |of: &[Count; 2], cell: &dyn Fn(&Count) -> String| of.each_ref().map(cell).join(" / ");
            let aborted = |count: &Count| count.share(count.aborted);
            let clean = |count: &Count| count.share(count.clean);
            let row = [
                cells(&numbers, &Count::refused),
                cells(&numbers, &aborted),
                cells(&numbers, &clean),
                cells(&tests, &Count::refused),
                cells(&tests, &aborted),
                cells(&tests, &|count| count.share(count.inconclusive)),
                cells(&tests, &clean),
                after,
            ];
            println!("| {name} | +{}% | {harm} | {} |", limit * 100.0, row.join(" | "));
        }
    }
}

/// Stretches of each series in which nothing was wrong, as they are and with a step of harm.
fn series(folder: &Path) {
    let windows = std::fs::read_to_string(folder.join("windows.json")).unwrap_or_else(|_| "{}".to_owned());
    let windows: serde_json::Value = serde_json::from_str(&windows).expect("windows.json is JSON");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).expect("a folder").map(|file| file.expect("a file").path()).collect();
    files.sort();
    println!(
        "| series | harm, in limits | before, `failures = 3`: aborted | too noisy | aborted | inconclusive | clean | after |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for file in files.iter().filter(|file| file.extension().is_some_and(|of| of == "csv")) {
        let name = file.file_stem().expect("a name").to_string_lossy().into_owned();
        let text = std::fs::read_to_string(file).expect("a series");
        let rows = text
            .lines()
            .skip(1)
            .filter_map(|line| Some((line.split(',').next()?, line.rsplit(',').next()?.parse().ok()?)));
        let rows: Vec<(&str, f64)> = rows.collect();
        let is_wrong = |at: &str| {
            let windows = windows[&name].as_array().into_iter().flatten();
            windows
                .filter_map(|window| Some((window[0].as_str()?, window[1].as_str()?)))
                .any(|(from, to)| from <= at && at <= to)
        };
        let reference = REFERENCES[1];
        for harm in [0.0, 1.5, 2.0] {
            let (mut now, mut three) = (Count::default(), Count::default());
            for stretch in rows.windows(reference + LONGEST).step_by(7) {
                if stretch.iter().any(|(at, _)| is_wrong(at)) {
                    continue;
                }
                let factor = |place: usize| if place < reference { 1.0 } else { 1.0 + LIMIT * harm };
                let samples: Vec<Option<f64>> =
                    stretch.iter().enumerate().map(|(place, (_, value))| Some(value * factor(place))).collect();
                tested(&mut now, &quantities(&samples), reference, LIMIT);
                compared(&mut three, &samples, reference, 3);
            }
            println!(
                "| {name} | {harm} | {} | {} | {} | {} | {} | {} |",
                three.share(three.aborted),
                now.refused(),
                now.share(now.aborted),
                now.share(now.inconclusive),
                now.share(now.clean),
                now.median()
            );
        }
    }
}
