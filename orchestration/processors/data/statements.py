"""What a read-only connection may be asked, as a parser reads it. The database enforces it too: see databases.

A parser alone would not do: what it takes for text, the server might run. So both have to refuse on their own.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from orchestration.processors.data.connections import InvalidStatement

STATEMENTS_KEPT = 200
"""Statements whose reading is kept: a batch runs the same one for each item."""

QUERIES = {TokenType.SELECT, TokenType.WITH, TokenType.VALUES, TokenType.TABLE, TokenType.L_PAREN}
CHANGES = (exp.DML, exp.DDL, exp.Into, exp.Copy, exp.Command, exp.Set, exp.Merge, exp.Drop, exp.Lock)

REFUSED_FUNCTIONS = {
    *("set_config", "load_extension", "query_to_xml", "query_to_xmlschema", "query_to_xml_and_xmlschema"),
    *("cursor_to_xml", "cursor_to_xmlschema", "ts_stat", "ts_rewrite", "crosstab", "crosstab2", "crosstab3"),
    *("crosstab4", "crosstabn", "connectby", "xpath_table", "loread", "lowrite", "nextval", "setval", "setseed"),
    *("fts3_tokenizer", "readfile", "writefile", "edit", "pg_cancel_backend", "pg_terminate_backend", "pg_notify"),
    *("pg_stat_file", "pg_export_snapshot", "pg_promote", "pg_reload_conf", "pg_switch_wal", "pg_rotate_logfile"),
}
"""Functions that change a session, run text as a statement, touch files, or disturb others."""

REFUSED_PREFIXES: tuple[str, ...] = (
    "pg_advisory",
    "pg_try_advisory",
    "pg_read_",
    "pg_ls_",
    "pg_file_",
    "pg_logical_",
    "pg_replication_",
)
REFUSED_PREFIXES += ("pg_backup_", "pg_start_backup", "pg_stop_backup", "pg_wal_replay_", "pg_stat_reset", "pg_log_")
REFUSED_PREFIXES += ("pg_create_", "pg_drop_", "pg_import_", "pg_restore_", "pg_clear_", "pg_copy_", "lo_", "dblink")

_EXPLAIN = re.compile(r"\s*EXPLAIN\s*(\([^()']*\)|(?:ANALYZE\b|VERBOSE\b|QUERY\s+PLAN\b|\s)*)", re.IGNORECASE)
_SHOW = re.compile(r"\s*SHOW\s+[\w. ]+;?\s*", re.IGNORECASE)


@lru_cache(maxsize=STATEMENTS_KEPT)
def check_reads(statement: str, dialect: str) -> frozenset[str]:
    """Return the functions that a query calls, in lower case. `dialect` is "postgresql" or "sqlite".

    Raises InvalidStatement for anything but one query, and for functions that do more than read.
    """
    if dialect == "postgresql" and _SHOW.fullmatch(statement):
        return frozenset()
    query = statement[explain.end() :] if (explain := _EXPLAIN.match(statement)) else statement
    read_as = "postgres" if dialect == "postgresql" else dialect
    try:
        tokens = sqlglot.tokenize(query, read=read_as)
        _check_tokens(query, tokens)
        parsed = [each for each in sqlglot.parse(query, read=read_as) if each is not None]
    except SqlglotError as error:
        raise InvalidStatement(f"The statement cannot be read: {str(error).splitlines()[0]}"[:500]) from None
    except RecursionError:
        raise InvalidStatement("The statement cannot be read: it is nested too deeply.") from None
    if len(parsed) != 1:
        raise InvalidStatement(f"Expected one statement, got {len(parsed)}.")
    _check_tree(parsed[0])
    functions = _called(tokens) | {each.name.lower() for each in parsed[0].find_all(exp.Anonymous)}
    for name in sorted(functions):
        if name in REFUSED_FUNCTIONS or name.startswith(REFUSED_PREFIXES):
            raise InvalidStatement(f"A read-only connection does not run {name}().")
    return frozenset(functions)


def may_stream(statement: str, dialect: str) -> bool:
    """Whether a server can keep the rows of a statement and hand them out in portions: those of a query, not others."""
    try:
        check_reads(statement.replace("\\:", ":"), dialect)
    except InvalidStatement:
        return False
    return not _EXPLAIN.match(statement) and not _SHOW.fullmatch(statement)


def _check_tokens(query: str, tokens: list[Token]) -> None:
    """Refuse what does not begin as a query, and spellings that a server may read otherwise than the parser."""
    if not tokens or tokens[0].token_type not in QUERIES:
        first = tokens[0].text.upper() if tokens else "nothing"
        raise InvalidStatement(f"A read-only connection runs queries only, not {first[:40]}.")
    for token in tokens:
        before = query[max(0, token.start - 2) : token.start]
        if query[token.start] in "'\"" and before.upper() == "U&":
            raise InvalidStatement("A read-only connection takes no names or texts spelled with U&: bind a field.")
        if token.token_type is TokenType.HEREDOC_STRING and re.fullmatch(r"[\w$]", before[-1:]):
            raise InvalidStatement("A read-only connection takes no names that contain $.")


def _check_tree(parsed: exp.Expr) -> None:
    change = next(parsed.find_all(*CHANGES), None)
    if change is not None or not isinstance(parsed, exp.Query | exp.Values):
        what = type(change or parsed).__name__.upper()
        raise InvalidStatement(f"A read-only connection runs queries only, not {what}.")


def _called(tokens: list[Token]) -> set[str]:
    """Return all names that a parenthesis follows: functions, and some that are none."""
    pairs = pairwise(tokens)
    return {name.text.lower() for name, after in pairs if after.token_type is TokenType.L_PAREN and name.text}
