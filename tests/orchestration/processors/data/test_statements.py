"""What a read-only connection may be asked, by a parser's reading."""

from __future__ import annotations

import pytest

from orchestration.processors.data.connections import InvalidStatement
from orchestration.processors.data.statements import check_reads

QUERIES = [
    "SELECT id, name FROM goods WHERE name = :name AND id > :index + 1",
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n",
    "(SELECT 1) UNION ALL (SELECT 2) ORDER BY 1 LIMIT 3;",
    "VALUES (1, 'DELETE FROM goods; COMMIT')",
    "SELECT 1 -- ; DROP TABLE goods\n",
    "EXPLAIN SELECT 1",
]
QUERIES_OF_POSTGRESQL = [
    "TABLE goods",
    "/* SET x /* nested */ */ SELECT 'U&' || 'set_config()' AS \"COPY\"",
    "SELECT U&'\\0041', 'U&''x'",
    "SHOW server_version",
    "SELECT data->>'a', $$set_config()$$, E'it\\'s', '1'::int, pg_sleep(1) FROM goods",
    "EXPLAIN (ANALYZE, FORMAT json) SELECT 1",
]

OTHERS = [
    *("", ";", "-- nothing", "this is no SQL", "SELECT 1; SELECT 2", "SELECT (" * 2_000),
    *("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "SET default_transaction_read_only = off", "RESET ALL"),
    *("SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "SET ROLE canopy", "DISCARD ALL"),
    *("COPY goods TO PROGRAM 'id'", "COPY goods FROM '/etc/passwd'", "DO $$ BEGIN END $$", "LOAD 'auto_explain'"),
    *("CALL p()", "PREPARE a AS SELECT 1", "EXECUTE a", "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "FETCH 1 FROM c"),
    *(
        "LOCK TABLE goods",
        "LISTEN a",
        "NOTIFY a",
        "VACUUM",
        "CREATE TEMP TABLE t (id integer)",
        "GRANT ALL ON goods TO a",
    ),
    *("INSERT INTO goods VALUES (1)", "UPDATE goods SET id = 1", "DELETE FROM goods", "TRUNCATE goods"),
    *("MERGE INTO a USING b ON true WHEN MATCHED THEN DELETE", "SELECT * INTO other FROM goods"),
    *("WITH gone AS (DELETE FROM goods RETURNING id) SELECT * FROM gone", "EXPLAIN ANALYZE DELETE FROM goods"),
    *("SELECT id FROM goods FOR UPDATE", "ATTACH DATABASE 'x' AS y", "PRAGMA query_only = OFF"),
    *("SHOW a; DELETE FROM goods", "EXPLAIN (ANALYZE) EXPLAIN DELETE FROM goods"),
]

CALLS = [
    *("set_config('a', 'b', false)", "pg_catalog.set_config('a', 'b', false)", "SET_CONFIG /* */ (1)"),
    *('"set_config"(1)', "pg_advisory_lock(1)", "pg_try_advisory_xact_lock_shared(1)", "dblink_exec('a', 'b')"),
    *("pg_read_file('/etc/passwd')", "pg_read_binary_file('x')", "pg_ls_dir('/')", "pg_stat_file('x')"),
    *("lo_import('/etc/passwd')", "lo_export(1, '/tmp/x')", "lo_unlink(1)", "query_to_xml('DELETE', true, true, '')"),
    *("ts_stat('SELECT 1')", "crosstab('SELECT 1')", "pg_terminate_backend(1)", "pg_reload_conf()", "nextval('a')"),
    "load_extension('x')",
]
PLACES = [
    "SELECT {}",
    "SELECT * FROM {} AS t",
    "SELECT * FROM ROWS FROM ({}) AS t",
    "SELECT * FROM goods, LATERAL (SELECT {}) AS t",
    "SELECT 1 FROM goods WHERE EXISTS (SELECT 1 ORDER BY {} LIMIT 1)",
    "WITH a AS MATERIALIZED (SELECT CASE WHEN true THEN {} END) SELECT count(*) FILTER (WHERE {} IS NULL) FROM a",
    "SELECT E'\\'', {} --'",
    "SELECT /* a /* b */ c */ {}",
    "SELECT 1 -- a comment ends here:\r, {}",
    "EXPLAIN (ANALYZE, VERBOSE) SELECT {}",
    "VALUES ({})",
]


@pytest.mark.parametrize("statement", QUERIES)
def test_one_query_is_read(statement: str) -> None:
    check_reads(statement, "postgresql")
    check_reads(statement, "sqlite")


@pytest.mark.parametrize("statement", QUERIES_OF_POSTGRESQL)
def test_a_query_of_postgresql_is_read(statement: str) -> None:
    check_reads(statement, "postgresql")


def test_called_functions_are_found() -> None:
    statement = "SELECT lower(a), \"My\"(1), s.other (2), 'text()' FROM pg_sleep(1) -- none()"
    assert check_reads(statement, "postgresql") == {"lower", "my", "other", "pg_sleep"}


@pytest.mark.parametrize("dialect", ["postgresql", "sqlite"])
@pytest.mark.parametrize("statement", OTHERS)
def test_anything_but_one_query_is_refused(statement: str, dialect: str) -> None:
    with pytest.raises(InvalidStatement):
        check_reads(statement, dialect)


@pytest.mark.parametrize("place", PLACES)
def test_functions_that_do_more_than_read_are_refused_wherever_they_stand(place: str) -> None:
    for call in CALLS:
        with pytest.raises(InvalidStatement, match=r"does not run \w+\(\)|runs queries only"):
            check_reads(place.replace("{}", call), "postgresql")


@pytest.mark.parametrize(
    "statement",
    ["SELECT U&\"set\\005fconfig\"('a', 'b', true)", "SELECT a$b$, set_config(1) AS c$b$"],
)
def test_spellings_that_a_server_may_read_otherwise_are_refused(statement: str) -> None:
    with pytest.raises(InvalidStatement):
        check_reads(statement, "postgresql")
