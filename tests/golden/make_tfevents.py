"""Prints the bytes of tests/unit/test_runlog.c: what TensorBoard's own writer makes of the same events.

    pip install tensorboard && python3 tests/golden/make_tfevents.py"""
import io

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

values = [Summary.Value(tag="train/loss", simple_value=2.5), Summary.Value(tag="train/lr", simple_value=0.001)]
events = {
    "version": Event(wall_time=1700000000.5, file_version="brain.Event:2"),
    "scalars": Event(wall_time=1700000001.25, step=300, summary=Summary(value=values)),
}
for name, event in events.items():
    out = io.BytesIO()
    RecordWriter(out).write(event.SerializeToString())
    print(f'static const char {name}_bytes[] = "{out.getvalue().hex()}";')
