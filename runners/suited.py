"""Whether an arm suits this machine: a spec for a GPU is no mistake where there is none."""

from yolact_bench.build import device_fault
from yolact_bench.errors import ArmError
from yolact_bench.spec.run import Run


def check_suited(run: Run, device: str) -> None:
    """Check that the runtime of an arm can run on a device, before the arm trains for nothing.

    Raises:
        ArmError: unsuited_device. The other arms go on; a machine that suits it tries it again.
    """
    fault = device_fault(run, device)
    if fault:
        raise ArmError("unsuited_device", f"runtime: {fault}; there, add --retry-failed")
