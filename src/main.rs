//! Arguments in, exit code out.

fn main() -> std::process::ExitCode {
    safe_remove::cli::main()
}
