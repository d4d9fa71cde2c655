# The environment of the pins in an image. docs/deploy.md says how to build and use it, and what
# of that was tried.
FROM python:3.11-slim-bookworm

WORKDIR /opt/selfgen
COPY envs/requirements.txt envs/requirements.txt
# Arguments of pip, such as an index with builds of torch for a CPU.
ARG PIP_ARGS=""
RUN python -m pip install --no-cache-dir ${PIP_ARGS} -r envs/requirements.txt
COPY . .
RUN python -m pip install --no-cache-dir --no-deps .

# The folder of the run, to be mounted; downloads lie in it.
WORKDIR /run
ENV XDG_CACHE_HOME=/run/.cache
ENTRYPOINT ["selfgen"]
CMD ["--help"]
