# SPDX-License-Identifier: BSD-2-Clause
#
# report --format json: the shape other programs rely on.

import json
import os
import subprocess
import unittest

import jsonschema

import victim
from harness import (ROOT, SHAKEDOWN, ServerCase, attempt, exchanges, free_port, primary, report,
                     shakedown)


def schema():
    with open(os.path.join(ROOT, "docs", "report.schema.json"), encoding="utf-8") as f:
        return json.load(f)


class Shape(ServerCase):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.serve([victim.program(), "{port}"], free_port())
        victim.record(cls.server)
        cls.server.terminate()
        cls.trace = cls.server.trace
        cls.rep = report(cls.trace)

    def one(self, spoil):
        return next(x for x in exchanges(self.rep) if x["path"].endswith("spoil=" + spoil))

    def test_the_schema_itself_is_valid(self):
        jsonschema.Draft7Validator.check_schema(schema())

    def test_a_report_follows_the_published_schema(self):
        jsonschema.validate(self.rep, schema())
        jsonschema.validate(report(self.trace, "--all"), schema())

    def test_the_schema_refuses_what_is_no_report(self):
        broken = json.loads(json.dumps(self.rep))
        broken["processes"][0]["exchanges"][0]["outcome"] = "fine"
        with self.assertRaises(jsonschema.ValidationError):
            jsonschema.validate(broken, schema())

    def test_every_attempt_is_there_with_its_outcome(self):
        outcomes = {x["path"]: x["outcome"] for x in exchanges(self.rep)}
        self.assertEqual(len(outcomes), 9)
        self.assertEqual(outcomes["/ws"], "upgraded")
        self.assertEqual(outcomes["/ws?spoil=reject"], "refused")
        self.assertEqual(outcomes["/ws?spoil=early"], "ignored")
        self.assertEqual(outcomes["/ws?spoil=silent"], "unanswered")
        counted = self.rep["processes"][0]["counts"]["outcomes"]
        self.assertEqual(sum(counted.values()), 9)

    def test_exactly_one_finding_is_primary_and_healthy_exchanges_have_none(self):
        for x in exchanges(self.rep):
            self.assertEqual(sum(f["primary"] for f in x["findings"]), 1 if x["findings"] else 0, x)
        self.assertIsNone(primary(attempt({"processes": [{"exchanges": [
            x for x in exchanges(self.rep) if x["path"] == "/ws"]}]}, "/ws")))

    def test_evidence_points_at_an_event_and_its_bytes(self):
        x = self.one("after")
        finding = next(f for f in x["findings"] if f["primary"])
        self.assertEqual(finding["id"], "http-after-101")
        shown = []
        for ev in finding["evidence"]:
            event = next(e for e in x["events"] if e["event"] == ev["event"])
            for s in event.get("segments", ()):
                if s["offset"] <= ev["offset"] < s["offset"] + len(s["bytes"]):
                    shown.append(s["bytes"][ev["offset"] - s["offset"]:])
        self.assertTrue(any(s.startswith("HTTP/1.1 200 OK\r\n") for s in shown), shown)

    def test_blame_names_function_file_line_and_frames(self):
        blame = next(f for f in self.one("after")["findings"] if f["primary"])["blame"]
        self.assertEqual(blame["function"], "metrics")
        self.assertTrue(blame["file"].endswith("victim_early_answer.c"))
        self.assertEqual(blame["module"], "victim_early_answer")
        self.assertIn("accept_loop", [f["function"] for f in blame["frames"]])

    def test_blame_is_null_with_a_reason_otherwise(self):
        for x in exchanges(self.rep):
            for f in x["findings"]:
                if f["blame"] is None:
                    self.assertTrue(f["blame_reason"], f)

    def test_phases_come_in_order_and_time_never_runs_back(self):
        x = attempt({"processes": [{"exchanges": [
            x for x in exchanges(self.rep) if x["path"] == "/ws"]}]}, "/ws")
        names = [p["phase"] for p in x["phases"]]
        self.assertEqual(names[0], "accepted")
        for phase in ("request-head", "before-response", "response-head", "upgraded", "frames", "closing"):
            self.assertIn(phase, names)
        times = [p["t_ns"] for p in x["phases"]]
        self.assertEqual(times, sorted(times))

    def test_hostile_bytes_leave_the_json_well_formed_and_ascii(self):
        raw = subprocess.run([SHAKEDOWN, "report", self.trace, "--format", "json"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
        self.assertTrue(all(32 <= b < 127 or b == 10 for b in raw))
        paths = [x["path"] for x in exchanges(json.loads(raw))]
        self.assertIn("/\\x9b\\xff\"\\/<b>?spoil=reject", paths)

    def test_plain_exchanges_are_routes(self):
        routes = self.rep["processes"][0]["counts"]["routes"]
        plain = [r for r in routes if r["path"] == "/plain"]
        self.assertEqual([(r["method"], r["count"]) for r in plain], [("GET", 3)])
        self.assertGreater(plain[0]["latency_us_below"]["p99"], 0)

    def test_filters_and_fail_on_work_as_in_text(self):
        self.assertEqual([x["path"] for x in exchanges(report(self.trace, "--finding", "bad-accept"))],
                         ["/ws?spoil=wrong"])
        done = shakedown("report", self.trace, "--format", "json", "--fail-on", "error")
        self.assertEqual(done.returncode, 1)
        jsonschema.validate(json.loads(done.stdout), schema())

    def test_followed_exchanges_are_one_object_per_line(self):
        done = shakedown("report", self.trace, "--format", "json", "--follow")
        self.assertEqual(done.returncode, 0, done.stderr)
        objects = [json.loads(line) for line in done.stdout.splitlines()]
        self.assertEqual(len(objects), 9)
        whole = schema()
        one = {"$ref": "#/definitions/exchange", "definitions": whole["definitions"]}
        for o in objects:
            jsonschema.validate(o, one)
            self.assertEqual(o["pid"], self.server.pid)


if __name__ == "__main__":
    unittest.main()
