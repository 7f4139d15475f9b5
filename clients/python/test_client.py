"""Asks the server of SANDBAR_SERVER everything that a program begins with, and compares."""

import json
import unittest

from sandbar_client import Sandbar, SandbarError


class RoundTrip(unittest.TestCase):
    def test_a_sandbox_from_its_creation_to_its_end(self):
        with Sandbar() as sandbar:
            made = sandbar.sandbox_create({"source": {"kind": "empty"}}, idempotency_key="python-client")
            again = sandbar.sandbox_create({"source": {"kind": "empty"}}, idempotency_key="python-client")
            self.assertEqual((made["id"], made["state"]), (again["id"], "running"))
            sandbar.file_write(made["id"], b"one\0two", path="a b/c?.bin")
            self.assertEqual(sandbar.file_read(made["id"], path="a b/c?.bin"), b"one\0two")
            ran = sandbar.exec_create(made["id"], {"argv": ["cat", "a b/c?.bin"], "wait": True})
            self.assertEqual(ran["exit_code"], 0)
            changes = sandbar.change_list(made["id"])["items"]
            self.assertIn("a b/c?.bin", [change["path"] for change in changes])
            events = sandbar.sandbox_event_list_stream(made["name"])
            kinds = [next(events)["event"] for _ in range(2)]
            events.close()
            self.assertEqual(kinds, ["created", "running"])
            page = sandbar.sandbox_list(limit=1)
            self.assertEqual(len(page["items"]), 1)
            sandbar.sandbox_delete(made["id"])
            with self.assertRaises(SandbarError) as gone:
                sandbar.sandbox_fetch(made["id"])
            self.assertEqual((gone.exception.status, gone.exception.code), (404, "sandbox_not_found"))

    def test_what_is_refused_says_why(self):
        with Sandbar() as sandbar:
            with self.assertRaises(SandbarError) as refused:
                sandbar.ask("POST", "/v1/sandboxes", "json", body={"source": {"kind": "nothing"}})
            self.assertEqual(refused.exception.status, 400)
            self.assertTrue(refused.exception.problem["request_id"])

    def test_events_are_json_by_type(self):
        with Sandbar() as sandbar:
            made = sandbar.sandbox_create({"source": {"kind": "empty"}})
            first = next(sandbar.sandbox_event_list_stream(made["id"]))
            self.assertEqual(json.loads(first["data"])["type"], first["event"])
            sandbar.sandbox_delete(made["id"])


if __name__ == "__main__":
    unittest.main()
