#!/usr/bin/env python3
"""accel.py - who runs the vCPUs, told and changed by programs (x-accel) and at the prompt. Prints ok and FAIL lines.

  accel.py TRANSOM DIRECTORY

Needs KVM; what the probe says of it is forced.
"""
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), 'lib'))
from qmpclient import Client, TRANSOM, WAIT, check, path, run_parts, start  # noqa: E402

QUIET = ['-display', 'none', '-nodefaults', '-m', '32']


def protocol():
    sock = path('accel.sock')
    vm = start(*QUIET, '-accel', 'tcg,switch=on', '-qmp', f'unix:{sock},server=on,wait=off')
    try:
        c = Client(sock)
        check('x-accel tells', c.value('x-accel')['name'], 'tcg')
        check('a name that is none', c.error('x-accel', accel='vax'), 'GenericError')
        check('a number', c.error('x-accel', accel=1), 'GenericError')
        check('tcg to kvm', c.value('x-accel', accel='kvm'), {'name': 'kvm', 'reason': 'asked for', 'switches': 1})
        check('query-kvm follows', c.value('query-kvm')['enabled'])
        check('it runs on', c.value('query-status')['status'], 'running')
        check('to kvm again: no change', c.value('x-accel', accel='kvm')['switches'], 1)
        c('stop')
        check('kvm to tcg, paused', c.value('x-accel', accel='tcg')['name'], 'tcg')
        check('it stays paused', c.value('query-status')['status'], 'paused')
        c('cont')
        check('query-accelerators follows', c.value('query-accelerators')['enabled'], 'tcg')
        c('quit')
        check('quit ends it', vm.wait(WAIT), 0)
    finally:
        vm.kill()
        vm.wait()


def no_machine():
    sock = path('none.sock')
    vm = start('-display', 'none', '-nodefaults', '-machine', 'none', '-qmp', f'unix:{sock},server=on,wait=off')
    try:
        c = Client(sock)
        check('without vCPUs', c.error('x-accel'), 'GenericError')
        c('quit')
        vm.wait(WAIT)
    finally:
        vm.kill()
        vm.wait()


def ask(args, lines, probe):
    run = subprocess.run([TRANSOM, *QUIET, '-S', '-monitor', 'stdio', *args], input='\n'.join(lines) + '\nquit\n',
                         capture_output=True, text=True, timeout=WAIT, env={**os.environ, 'TRANSOM_KVM_PROBE': probe})
    return run.stdout, run.stderr


def logging():
    out, _ = ask(['-accel', 'kvm'], ['log int', 'log none', 'log unimp'], 'fast')
    check('log int on KVM offers the change once', out.count('"accel tcg"'), 1)
    out, _ = ask(['-accel', 'tcg'], ['log int', 'log none'], 'fast')
    check('on the translator it does not', '"accel tcg"' not in out)
    out, err = ask(['-d', 'int', '-D', os.devnull], ['accel'], 'fast')
    check('-d int takes the translator', '\ntcg' in out)
    check('and says why', err.count('-d tells of the CPU'), 1)
    out, err = ask(['-d', 'pic', '-D', os.devnull], ['accel'], 'fast')
    check('-d pic does not', '\nkvm' in out and not err)
    out, err = ask(['-d', 'int', '-D', os.devnull, '-accel', 'kvm'], ['accel'], 'fast')
    check('nor does -d int with -accel kvm', '\nkvm' in out)


sys.exit(run_parts(protocol, no_machine, logging))
