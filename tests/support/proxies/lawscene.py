"""A scene whose policy lets calls of several methods and paths pass, so that laws have something to draw."""

from pathlib import Path

import yaml

from proxies.configurations import EXAMPLES
from support.proxies.scene import Scene


class LawScene(Scene):
    """A policy under which calls of several methods pass, and two of its paths are alike but for their case."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        policy = yaml.safe_load((EXAMPLES / "policy.yaml").read_text())
        own = policy["spec"]["endpointSettings"]["http"]
        own["routes"] += [
            route("GET POST PUT", "/{id}/{part}", "parts.touch"),
            route("GET POST PUT", "/admin/{id}", "admin.touch"),
            route("POST", "/uploads/{id}", "uploads.make"),
        ]
        policy["spec"]["rules"] = [
            {
                **policy["spec"]["rules"][0],
                "actions": ["customers.list", "customers.get", "customers.notify", "parts.touch", "uploads.make"],
                "resources": [{"type": "customer", "ids": ["*"]}],
            }
        ]
        (self.policies / "policy.yaml").write_text(yaml.safe_dump(policy))


def route(methods: str, path: str, action: str) -> dict[str, object]:
    return {"methods": methods.split(), "path": path, "action": action, "resource": {"type": "customer", "id": "{id}"}}
