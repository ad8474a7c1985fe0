"""What is MLflow told of a stage: one run for each (stage, stage hash), while it runs and after.

``metric_log``: the metrics of a training, appended step by step; it waits for nobody.
``journal``: the file with these lines, and sending them to MLflow, each once and in order.
``live``: the threads beside a training that send its journal and note what the machine does.
``runs``: the record of what a stage has done, and where a result comes from.
``outbox``: records kept in files until MLflow has them.
``run_writer``: writing a run through MLflow's client.
``page``: where a run is on the pages of an MLflow server.
"""
