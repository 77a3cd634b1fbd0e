//! The command line.

use std::path::PathBuf;

use crate::context::{Context, Result};

/// What `--help` prints.
pub(crate) const USAGE: &str = "\
usage: cargo bench --bench peers -- [quick] [MEASUREMENT...] [OPTIONS]

  startup memory latency storm idle fleet   only these (all without any)
  quick                 fewer rounds: under a minute in total
  --fleet N[,N...]      fleets of these sizes, and not of 10 and 200; may be given several times
  --plot FILE.svg       draws the fleets
  --markdown            tables for a page
  --require-peers       a missing peer is a failure; so it is where CI is set
  --runinit FILE        measures this runinit, and not the release that is built first
  --fleet-args WORDS    more options for runinit when it runs a fleet
";

/// One thing that can be measured alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Measurement {
    Startup,
    Memory,
    Latency,
    Storm,
    Idle,
    Fleet,
}

impl Measurement {
    const ALL: [(&'static str, Self); 6] = [
        ("startup", Self::Startup),
        ("memory", Self::Memory),
        ("latency", Self::Latency),
        ("storm", Self::Storm),
        ("idle", Self::Idle),
        ("fleet", Self::Fleet),
    ];

    fn named(word: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == word).map(|(_, measurement)| *measurement)
    }
}

/// The parsed command line.
pub(crate) struct Options {
    pub(crate) measurements: Vec<Measurement>,
    pub(crate) quick: bool,
    pub(crate) markdown: bool,
    pub(crate) require_peers: bool,
    /// `None`: the release.
    pub(crate) runinit: Option<PathBuf>,
    /// In ascending order, each once.
    pub(crate) fleets: Vec<usize>,
    pub(crate) plot: Option<PathBuf>,
    pub(crate) fleet_args: Vec<String>,
}

impl Options {
    /// `None`: help was asked for.
    pub(crate) fn parse(words: Vec<String>) -> Result<Option<Self>> {
        let mut options = Self {
            measurements: Vec::new(),
            quick: false,
            markdown: false,
            require_peers: std::env::var_os("CI").is_some(),
            runinit: None,
            fleets: Vec::new(),
            plot: None,
            fleet_args: Vec::new(),
        };
        let mut words = words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or_else(|| format!("{word} needs a value"));
            match word.as_str() {
                "--bench" => {} // cargo adds it
                "-h" | "--help" => return Ok(None),
                "quick" | "--quick" => options.quick = true,
                "--markdown" => options.markdown = true,
                "--require-peers" => options.require_peers = true,
                "--runinit" => options.runinit = Some(PathBuf::from(value()?)),
                "--fleet" => options.fleets.extend(sizes(&value()?)?),
                "--plot" => options.plot = Some(PathBuf::from(value()?)),
                "--fleet-args" => {
                    options.fleet_args = value()?.split_whitespace().map(str::to_owned).collect();
                }
                name => match Measurement::named(name) {
                    Some(measurement) => options.measurements.push(measurement),
                    None => return Err(format!("no measurement or option is called {name}")),
                },
            }
        }
        if options.measurements.is_empty() {
            options.measurements = Measurement::ALL.iter().map(|(_, measurement)| *measurement).collect();
        }
        if options.plot.is_some() && !options.measurements.contains(&Measurement::Fleet) {
            return Err("--plot draws fleets: add the measurement fleet".to_owned());
        }
        if options.fleets.is_empty() {
            options.fleets = vec![10, 200];
        }
        options.fleets.sort_unstable();
        options.fleets.dedup();
        Ok(Some(options))
    }

    /// The number of rounds: many, or few when it has to be quick.
    pub(crate) fn rounds(&self, many: usize, few: usize) -> usize {
        if self.quick { few } else { many }
    }
}

/// `10,100,1000`.
fn sizes(list: &str) -> Result<Vec<usize>> {
    let size = |word: &str| match word.parse() {
        Ok(0) => Err("--fleet: a fleet has at least one program".to_owned()),
        size => size.while_doing(format!("--fleet: \"{word}\"")),
    };
    list.split(',').map(size).collect()
}
