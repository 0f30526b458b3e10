"""Do pandas and DuckDB read the Parquet file that vanilla writes, with the numbers and types of the records?

    check.py VANILLA SWEEP…    the command, for example bin/vanilla, and directories of sweeps

The records are read from records.jsonl, by Python's own JSON, and compared column by column. It exits with 1 after the
first difference.
"""

import json
import math
import pathlib
import subprocess
import sys
import tempfile

import duckdb
import pandas

TEXT = ["id", "point", "stage", "arch", "activation", "loss", "optimizer", "schedule", "init", "block", "norm"]
WHOLE = ["index", "bracket", "seed", "order_seed", "parameters", "batch", "epochs", "shift", "patience", "rung", "epoch", "step"]
REAL = ["lr", "weight_decay", "warmup", "dropout", "input_dropout", "label_smoothing", "rotate", "scale", "shear", "stroke", "elastic",
        "noise_share", "validation", "seconds"]
KNOWN = ["momentum", "step_epochs", "gamma", "elastic_sigma", "train_loss", "validation_loss", "validation_accuracy", "test_loss",
         "test_accuracy"]  # or null
OTHERS = ["diverged", "losses", "stuck", "time"]  # of records
OWN = ["layers", "hidden", "status", "precision"]  # of the file


def check(found, what):
    if not found:
        sys.exit(f"{what}: differs")


def hidden(arch):
    return [int(w) for w in arch.split("-")][1:-1]


def compare(records, table, reader):
    """table has a dict for each row."""
    check(len(table) == len(records), f"{reader}: {len(table)} rows of {len(records)} records")
    by_place = {(row["id"], row["rung"]): row for row in table}
    for record in records:
        row = by_place[record["id"], record["rung"]]
        where = f"{reader}: {record['id']}, rung {record['rung']}"
        for name in TEXT:
            check(row[name] == record.get(name, ""), f"{where}, {name}")
        for name in WHOLE + REAL:
            check(row[name] == record.get(name, 0), f"{where}, {name}")
        for name in KNOWN:
            check(row[name] == record.get(name), f"{where}, {name}")
        for name in record.keys() - {"crc32c"}:
            check(name in row, f"{where}: no column {name}")
        check(row["diverged"] is record["diverged"], f"{where}, diverged")
        check(row["status"] in ("done", "stopped", "diverged", "unfinished"), f"{where}, status")
        check(row["layers"] == len(hidden(record["arch"])) and list(row["hidden"]) == hidden(record["arch"]), f"{where}, hidden")
        losses = [None if math.isnan(v) else v for v in row["losses"]]
        check(losses == (record["losses"] or []), f"{where}, losses")
        check(list(row["stuck"]) == record.get("stuck", []), f"{where}, stuck")
        milliseconds = pandas.Timestamp(record["time"]).value // 10**6
        check(pandas.Timestamp(row["time"]).value // 10**6 == milliseconds, f"{where}, time")


def main():
    vanilla, sweeps = sys.argv[1], sys.argv[2:]
    for sweep in sweeps:
        text = pathlib.Path(sweep, "records.jsonl").read_text()
        records = [json.loads(line) for line in text.splitlines()]
        with tempfile.TemporaryDirectory() as directory:
            path = f"{directory}/records.parquet"
            subprocess.run([vanilla, "results", sweep, "--parquet", path, "--json"], check=True, capture_output=True)

            frame = pandas.read_parquet(path)
            check(set(frame) == {*TEXT, *WHOLE, *REAL, *KNOWN, *OTHERS, *OWN}, "the columns")
            kinds = {name: frame[name].dtype.kind for name in frame}
            check(all(kinds[n] in "iu" for n in WHOLE) and all(kinds[n] == "f" for n in REAL + KNOWN), "pandas: types")
            check(kinds["diverged"] == "b" and kinds["time"] == "M", "pandas: types")
            rows = frame.astype(object).where(frame.notna(), None).to_dict("records")
            compare(records, rows, "pandas")

            types = dict(duckdb.sql(f"select column_name, column_type from (describe from '{path}')").fetchall())
            check(types["seed"] == "UBIGINT" and types["lr"] == "DOUBLE" and types["diverged"] == "BOOLEAN", "DuckDB: types")
            check(types["hidden"] == "INTEGER[]" and types["losses"] == "DOUBLE[]" and types["time"].startswith("TIMESTAMP"), "DuckDB: types")
            relation = duckdb.sql(f"select * replace (epoch_ms(time) as time) from '{path}'")
            rows = [dict(zip(relation.columns, row)) for row in relation.fetchall()]
            for row in rows:
                row["time"] = pandas.Timestamp(row["time"], unit="ms")
            compare(records, rows, "DuckDB")
            best = duckdb.sql(f"select max(validation_accuracy) from '{path}'").fetchone()[0]
            check(best == max((r["validation_accuracy"] for r in records if r["validation_accuracy"] is not None), default=None), "DuckDB: the best")
        print(f"{sweep}: pandas {pandas.__version__} and DuckDB {duckdb.__version__} read its {len(records)} records as they are")


main()
