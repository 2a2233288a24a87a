//! Examples of every command, as its help and its manual page show them. Each is a command line that this program
//! accepts, with a few words behind it where two spaces stand.

pub(crate) const PLAN: &str = "\
Examples:
  safe-remove plan --subsystem index --count 3                what would happen
  safe-remove plan --subsystem index --host i-0a1b i-0c2d     to these hosts
  safe-remove plan --subsystem index --host - < hosts.txt     hosts of a file
  safe-remove plan --subsystem index --count 3 --output json  for a program";

pub(crate) const HEADROOM: &str = "\
Examples:
  safe-remove headroom                                         every subsystem
  safe-remove headroom --subsystem index --what-if minimum=55  another minimum
  safe-remove headroom --what-if zone-down=a                   if zone a is lost";

pub(crate) const HOSTS: &str = "\
Examples:
  safe-remove hosts                    every host of the fleet
  safe-remove hosts --subsystem index  those of one subsystem";

pub(crate) const DOCTOR: &str = "\
Examples:
  safe-remove doctor                before the first removal
  safe-remove doctor --fix          and let the provider hold the minimums too
  safe-remove doctor --output json  for a program";

pub(crate) const STATUS: &str = "\
Examples:
  safe-remove status                 what is going on
  safe-remove status --watch         until nothing is
  safe-remove status r-0123456789ab  one run, also after its end";

pub(crate) const RESUME: &str = "\
Examples:
  safe-remove resume r-0123456789ab  shows what is left, and asks
  safe-remove resume r-0123456789ab --yes --reason \"the laptop died\"";

pub(crate) const ABANDON: &str = "\
Examples:
  safe-remove abandon r-0123456789ab                 put everything back
  safe-remove abandon r-0123456789ab --leave i-0a1b  but for a host that is lost";

pub(crate) const PAUSE: &str = "\
Examples:
  safe-remove pause r-0123456789ab                   no further batch
  safe-remove pause r-0123456789ab --reason \"lunch\"  says why in status";

pub(crate) const CONTINUE: &str = "\
Examples:
  safe-remove continue r-0123456789ab  go on, or confirm the batch it waits for";

pub(crate) const HALT: &str = "\
Examples:
  safe-remove halt                                    every run; asks why
  safe-remove halt --reason \"smoke\"                   with a reason
  safe-remove halt --subsystem index --reason \"slow\"  runs it concerns";

pub(crate) const UNHALT: &str = "\
Examples:
  safe-remove unhalt --reason \"false alarm\"                   the whole fleet
  safe-remove unhalt --subsystem index --reason \"fast again\"  a subsystem";

pub(crate) const HISTORY: &str = "\
Examples:
  safe-remove history                                everything that ended
  safe-remove history --subsystem index --since 24h  since yesterday";

pub(crate) const REPORT: &str = "\
Examples:
  safe-remove report r-0123456789ab                   what happened, as text
  safe-remove report r-0123456789ab --markdown        for a post-mortem
  safe-remove report r-0123456789ab --html page.html  with a timeline";

pub(crate) const POLICY: &str = "\
Examples:
  safe-remove policy check       what is wrong with the files
  safe-remove policy show index  what is in force";

pub(crate) const POLICY_INIT: &str = "\
Examples:
  safe-remove policy init --out policies
  safe-remove policy init --out policies --region eu-west-1 --subsystem-tag role";

pub(crate) const POLICY_CHECK: &str = "\
Examples:
  safe-remove policy check                                   ./policies
  safe-remove policy check --probe                           reads the probes
  safe-remove policy check --policies staging --output json  for a program";

pub(crate) const POLICY_SHOW: &str = "\
Examples:
  safe-remove policy show        every subsystem
  safe-remove policy show index  one of them";

pub(crate) const POLICY_SCHEMA: &str = "\
Examples:
  safe-remove policy schema > policies/subsystem.schema.json    for subsystems
  safe-remove policy schema fleet > policies/fleet.schema.json  for fleet.toml

Editors that know TOML (taplo, Even Better TOML) find it by the first line of a file:
  #:schema ./subsystem.schema.json";

pub(crate) const POLICY_ACCEPT: &str = "\
Examples:
  safe-remove policy accept index --reason \"racks retired\"  shows it, asks";

pub(crate) const LEDGER: &str = "\
Examples:
  safe-remove ledger init                  make the ledger; safe to repeat
  safe-remove ledger export > ledger.json  everything in it";

pub(crate) const LEDGER_INIT: &str = "\
Examples:
  safe-remove ledger init  says what it found or made";

pub(crate) const LEDGER_EXPORT: &str = "\
Examples:
  safe-remove ledger export > ledger.json  also of a copy, or of a broken one";

pub(crate) const LEDGER_IMPORT: &str = "\
Examples:
  safe-remove ledger import ledger.json  where fleet.toml says
  safe-remove unhalt --reason \"checked\"  it starts halted";

pub(crate) const LEDGER_PRUNE: &str = "\
Examples:
  safe-remove ledger prune --before 90d  to a file in this directory
  safe-remove ledger prune --before 2026-01-01 --to old.json";

pub(crate) const LEDGER_SET_TIME: &str = "\
Examples:
  safe-remove ledger set-time --reason \"fast clock\"  shows both, and asks";

pub(crate) const LEDGER_ADOPT: &str = "\
Examples:
  safe-remove ledger adopt --reason \"first use\"  shows what, and asks";

pub(crate) const IAM_POLICY: &str = "\
Examples:
  safe-remove iam-policy                  the role that removes
  safe-remove iam-policy --adopt          the role that adopts, once
  safe-remove iam-policy --ledger --init  who makes the table";

pub(crate) const COMPLETIONS: &str = "\
Examples:
  source <(safe-remove completions bash)  in ~/.bashrc
  source <(safe-remove completions zsh)   in ~/.zshrc, behind compinit
  safe-remove completions fish | source   in ~/.config/fish/config.fish";

pub(crate) const MAN: &str = "\
Examples:
  safe-remove man | man -l -                 read the page of safe-remove
  safe-remove man policy check | man -l -    read the page of a command
  safe-remove man plan > safe-remove-plan.1  keep one";

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _, Parser as _};

    use super::super::args::Cli;

    fn visit(command: &Command, path: &str, found: &mut Vec<(String, String)>) {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        found.push((path.to_owned(), help));
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            visit(sub, &format!("{path} {}", sub.get_name()), found);
        }
    }

    /// The words of a line up to its remark, without what is the shell's.
    fn words(line: &str) -> Vec<String> {
        let end = line.find("  ").unwrap_or(line.len());
        let line = line[..end].trim_start_matches("source <(").split(['|', '<', '>', ')']).next().unwrap_or_default();
        let quoted = line.split('"').enumerate();
        quoted
            .flat_map(|(place, part)| match place % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            })
            .collect()
    }

    #[test]
    fn every_command_has_examples_and_every_example_is_a_command_line() {
        let mut command = Cli::command();
        command.build();
        let mut found = Vec::new();
        visit(&command, "safe-remove", &mut found);
        for (path, help) in found {
            let lines: Vec<&str> = help.lines().skip(1).take_while(|line| line.starts_with("  ")).collect();
            assert!(help.starts_with("Examples:") && !lines.is_empty(), "{path} has no example");
            for line in lines {
                assert!(line.chars().count() <= 80, "{line}");
                let words = words(line.trim_start());
                assert!(
                    path == "safe-remove" || line.contains("unhalt") || words.join(" ").starts_with(&path),
                    "{line}"
                );
                Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
            }
        }
    }
}
