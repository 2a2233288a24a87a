//! The words of other tools: the command or the option of this program that somebody meant who typed them.

/// The command that is meant by a command line that clap refused, in words. `None` if nothing can be guessed.
pub(super) fn meant(arguments: &[&str]) -> Option<String> {
    let words: Vec<&str> = arguments.iter().copied().take_while(|word| *word != "--").collect();
    words.iter().find_map(|word| option(word)).or_else(|| command(&words))
}

fn option(word: &str) -> Option<String> {
    let name = word.split('=').next().unwrap_or(word);
    let text = match name {
        "-y" | "--assume-yes" | "--auto-approve" | "--no-confirm" | "--non-interactive" => {
            "no prompt is --yes: it is honoured up to the policies' unattended_max"
        }
        "-f" | "--force" | "--yes-i-really-mean-it" => {
            "there is no way past a refusal; `plan` says what stands in the way, and what would allow it"
        }
        "-n" | "--num" | "--number" | "--hosts" => "how many hosts is --count N; which hosts is --host ID",
        "-s" | "--service" | "--group" | "--cluster" => "the subsystem is --subsystem NAME",
        "--dry" | "--check" | "--noop" | "--what" => "a look at what would happen is `plan`, or --dry-run",
        "--timeout" | "--wait" => "the longest wait for budgets and other runs is --max-wait DURATION, or --no-wait",
        _ => return None,
    };
    Some(text.to_owned())
}

fn command(words: &[&str]) -> Option<String> {
    // Behind an option a word may be its value.
    let mut positional = words.iter().copied().take_while(|word| !word.starts_with('-'));
    let first = positional.next().filter(|first| *first != "help").or_else(|| positional.next())?;
    let text = match first.to_lowercase().as_str() {
        "stop" | "abort" | "cancel" | "kill" | "quit" | "emergency" => {
            "one run, at its terminal: Ctrl-C\nevery run, from anywhere: safe-remove halt"
        }
        "rollback" | "undo" | "restore" | "uncordon" | "revert" => {
            "what is cordoned is put back by `safe-remove halt --reason TEXT` (every run that lives), or by \
             `safe-remove abandon RUN` (one whose process died); what is terminated is gone"
        }
        "drain" | "cordon" | "remove" | "delete" | "terminate" | "shrink" | "scale" | "scale-down" => {
            "to remove hosts: safe-remove --subsystem NAME --count N"
        }
        "ls" | "list" | "ps" | "runs" | "show" | "get" | "describe" => {
            "what is under way: safe-remove status\nwhat was: safe-remove history\nthe hosts: safe-remove hosts"
        }
        "nodes" | "instances" | "host" | "inventory" => {
            "the hosts, and what stands against taking each: safe-remove hosts"
        }
        "check" | "validate" | "lint" | "verify" => "to check the policies: safe-remove policy check",
        "capacity" | "max" | "limits" => "how much can go now: safe-remove headroom",
        "unstop" | "start" | "unpause" | "go" => {
            "to lift a stop order: safe-remove unhalt --reason TEXT\nto go on with a run that is paused: safe-remove continue RUN\n\
             to go on with a run whose process died: safe-remove resume RUN"
        }
        // Only with something behind it: it is a command itself.
        "halt" if positional.next().is_some() => {
            "`halt` stops every run, or with --subsystem NAME those of one subsystem. One run: Ctrl-C at its terminal, or \
             `safe-remove pause RUN` before its next batch"
        }
        "version" => "the version: safe-remove --version",
        _ => return counted(first, positional.next()?),
    };
    Some(text.to_owned())
}

/// `index 3`
fn counted(subsystem: &str, count: &str) -> Option<String> {
    let count: u64 = count.parse().ok()?;
    let is_name = subsystem.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    is_name.then(|| format!("to remove hosts: safe-remove --subsystem {subsystem} --count {count}"))
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn the_words_of_other_tools_name_a_command_of_this_one() {
        for (line, command) in [
            ("stop", "halt"),
            ("abort r-1", "halt"),
            ("cancel", "Ctrl-C"),
            ("rollback", "abandon RUN"),
            ("drain index", "--subsystem NAME --count N"),
            ("index 3", "--subsystem index --count 3"),
            ("--subsystem index --count 3 -y", "--yes"),
            ("--subsystem index --count 3 --force", "`plan`"),
            ("--subsystem index -n 3", "--count N"),
            ("list", "safe-remove status"),
            ("validate", "policy check"),
            ("unpause r-1", "safe-remove continue RUN"),
            ("halt r-1", "safe-remove pause RUN"),
            ("help stop", "safe-remove halt"),
        ] {
            let words: Vec<&str> = line.split(' ').collect();
            let said = meant(&words).unwrap_or_else(|| panic!("{line}"));
            assert!(said.contains(command), "{line}: {said}");
        }
        for nothing in [
            "plan --subsystem",
            "index three",
            "--subsystem index --count 3 surplus",
            "$(reboot) 3",
            "-- stop",
            "halt",
            "help",
        ] {
            let words: Vec<&str> = nothing.split(' ').collect();
            assert_eq!(meant(&words), None, "{nothing}");
        }
    }
}
